#include "vmm/guests/agent/orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/world.h"

namespace gpremap {

namespace {

constexpr uint64_t most_extents = layout::order_buffer_size / sizeof(abi::ExtentInfo);
// Of a query in all: many times what Linux lets a process have by default.
constexpr size_t most_answered = size_t{1} << 20;
static_assert(GPREMAP_MAX_BATCH * sizeof(abi::BatchCall) <= layout::order_buffer_size);

abi::Step step(abi::Op op, std::initializer_list<uint64_t> arguments) {
    abi::Step step = {};
    step.op = op;
    std::ranges::copy(arguments, step.arg);
    return step;
}

abi::Step pattern(abi::Op op, uint64_t at, uint64_t size, const order::Content& content) {
    return step(op, {at, size, static_cast<uint64_t>(content.pattern), content.value, content.first_page});
}

}  // namespace

namespace order {

abi::Step call(abi::Call number, std::span<const uint64_t> arguments) {
    constexpr size_t most_arguments = 6;
    if (arguments.size() > most_arguments) throw std::logic_error("a call has at most six arguments");
    abi::Step call = step(abi::Op::call, {static_cast<uint64_t>(number)});
    std::ranges::copy(arguments, call.arg + 1);
    return call;
}

abi::Step call(abi::Call number, std::initializer_list<uint64_t> arguments) {
    return call(number, std::span<const uint64_t>(arguments.begin(), arguments.size()));
}

abi::Step fill(uint64_t at, uint64_t size, const Content& content) {
    return pattern(abi::Op::fill, at, size, content);
}

abi::Step verify(uint64_t at, uint64_t size, const Content& content) {
    return pattern(abi::Op::verify, at, size, content);
}

abi::Step touch(uint64_t at, uint64_t size, abi::FaultKind kind, uint64_t stride) {
    return step(abi::Op::touch, {at, size, kind == abi::FaultKind::write ? 1u : 0u, stride});
}

abi::Step copy(uint64_t from, uint64_t to, uint64_t size) {
    return step(abi::Op::copy, {from, to, size});
}

abi::Step read(uint64_t at) {
    return step(abi::Op::access, {at, static_cast<uint64_t>(abi::FaultKind::read)});
}

abi::Step write(uint64_t at, uint64_t value) {
    return step(abi::Op::access, {at, static_cast<uint64_t>(abi::FaultKind::write), value});
}

abi::Step write(uint64_t at, std::span<const uint8_t> bytes) {
    if (bytes.size() > abi::Step::inline_bytes) throw std::logic_error("more than a step holds");
    abi::Step write = step(abi::Op::write, {at, bytes.size()});
    std::ranges::copy(bytes, write.bytes);
    return write;
}

abi::Step exec(uint64_t at) {
    return step(abi::Op::exec, {at});
}

abi::Step workload(uint64_t entry) {
    return step(abi::Op::workload, {entry});
}

abi::Step pulse(uint64_t pulse, uint64_t most_faults_in_a_row) {
    return step(abi::Op::pulse, {pulse, most_faults_in_a_row});
}

abi::Step plug(uint64_t size) {
    return step(abi::Op::plug, {size});
}

abi::Step unplug(uint64_t at, uint64_t size, double seconds) {
    return step(abi::Op::unplug, {at, size, static_cast<uint64_t>(seconds * 1000)});
}

}  // namespace order

namespace {

void require(bool copied) {
    if (!copied) throw std::logic_error("the buffer of orders is outside the agent's memory");
}

}  // namespace

Orders::Orders(CallerMemory& memory, Perform perform) : memory_(memory), perform_(std::move(perform)) {}

Orders::Queried Orders::query(unsigned vcpu, uint64_t at, uint64_t size) {
    const uint64_t buffer = layout::order_buffer(vcpu);
    Queried all;
    for (;;) {
        all.performed = perform_(vcpu, order::call(abi::Call::query, {at, size, buffer, most_extents}));
        const int64_t count = all.performed.report.result;
        if (count <= 0) return all;
        const uint64_t fitted = std::min(static_cast<uint64_t>(count), most_extents);
        const size_t before = all.extents.size();
        all.extents.resize(before + fitted);
        require(memory_.read(buffer, &all.extents[before], fitted * sizeof(abi::ExtentInfo)));
        if (fitted == static_cast<uint64_t>(count)) return all;
        const uint64_t end = all.extents.back().at + all.extents.back().size, covered = end - at;
        if (covered == 0 || covered >= size || all.extents.size() > most_answered)
            throw GuestDied(
                fmt::format("the guest died: its agent's answer to a query makes no sense: more extents than "
                            "there is room for, of which the last ends at {:#x}",
                            end));
        size -= covered;
        at = end;
    }
}

int64_t returned_by(const abi::Report& report) {
    return report.outcome == abi::Outcome::ok ? report.result : -EFAULT;
}

Orders::Batched Orders::batch(unsigned vcpu, std::span<const abi::BatchCall> calls) {
    const uint64_t buffer = layout::order_buffer(vcpu);
    // A longer batch is refused for its length, unread.
    const auto readable = calls.first(std::min<size_t>(calls.size(), GPREMAP_MAX_BATCH));
    require(memory_.write(buffer, readable.data(), readable.size_bytes()));

    Batched batched;
    batched.performed = perform_(vcpu, order::call(abi::Call::batch, {buffer, calls.size()}));
    if (returned_by(batched.performed.report) != 0) return batched;
    std::vector<abi::BatchCall> done(readable.begin(), readable.end());
    require(memory_.read(buffer, done.data(), readable.size_bytes()));
    for (const abi::BatchCall& call : done) batched.results.push_back(call.result);
    return batched;
}

Orders::Commanded Orders::command(unsigned vcpu, const std::string& text) {
    static_assert(longest_command == layout::order_buffer_size);
    const uint64_t buffer = layout::order_buffer(vcpu);
    if (text.size() >= longest_command || !memory_.write(buffer, text.c_str(), text.size() + 1))
        throw std::logic_error("a command does not fit the agent's memory");
    Commanded commanded;
    commanded.performed = perform_(vcpu, step(abi::Op::command, {buffer, longest_command}));
    std::string output(longest_command, 0);
    if (!memory_.read(buffer, output.data(), output.size()))
        throw std::logic_error("the order's buffer is outside the agent's memory");
    output.resize(std::min(output.find('\0'), output.size()));
    commanded.output = std::move(output);
    return commanded;
}

}  // namespace gpremap
