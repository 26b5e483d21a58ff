// A file that the program writes as a whole: all of it or what was there before.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gpremap {

class OutputFile {
  public:
    // `option` is how the user named the path, for messages. Throws ConfigError where it cannot be written, so
    // that a path that cannot costs no run. Leaves an older file as it was, and no new one. "-", and whatever
    // leads to it, such as /dev/stdout, is standard output.
    OutputFile(std::string option, const std::string& path);

    bool is_regular() const { return kind_ == Kind::whole; }

    // An error is what went wrong, with option and path. A regular file is written beside the old one and
    // renamed over it, with its owner and mode; links to it stay links. Pipes, devices and the like are written
    // directly, and so is a file in a folder that takes no new one.
    std::optional<std::string> write(std::string_view text) const;

  private:
    enum class Kind {
        standard_output,
        whole,   // a regular file
        stream,  // a pipe, a device, or a descriptor of this process by its name in /proc
    };

    Kind kind_of(const std::string& path);
    void try_whole() const;
    std::string problem(int error) const;
    int write_whole(std::string_view text) const;  // errno; 0: it is there
    int write_direct(std::string_view text, int flags) const;

    std::string option_;
    std::string path_;    // as the user wrote it
    std::string target_;  // where all links lead
    Kind kind_;
};

// For a verb that is about to end with the exit status `status`: returns that, or, where it is 0 and the file does
// not take `text`, 2. Throws nothing then, so as not to hide how the run has ended: the log says so, and an older
// file stays as it was.
int write_result(const OutputFile& file, std::string_view text, int status);

}  // namespace gpremap
