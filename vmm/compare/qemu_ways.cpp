#include "vmm/compare/qemu_ways.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "vmm/base/errors.h"
#include "vmm/compare/guest_image.h"
#include "vmm/compare/libvirt_host.h"
#include "vmm/compare/needs.h"
#include "vmm/compare/qemu_guest.h"
#include "vmm/libvirt/private_folder.h"

namespace gpremap {

namespace {

using Accelerate = CompareOptions::Accelerate;

struct Choice {
    Accelerator accelerator = Accelerator::kvm;
    std::string reason;
};

std::string first_line(const std::string& text) {
    return text.substr(0, text.find_first_of(";\n"));
}

class LibvirtWays final : public QemuWays {
  public:
    LibvirtWays(const CompareOptions& options, const Schedule& schedule, Waiter& waiter)
        : schedule_(schedule),
          waiter_(waiter),
          image_(make_guest_image(folder_.path(), waiter)),
          host_(options.connect, folder_.path(), waiter),
          settings_(options.settings()) {
        const Choice choice = choose_accelerator(options);
        spdlog::info("{}: {}", choice.accelerator == Accelerator::kvm ? "KVM" : "emulation", choice.reason);
        facts_ = {choice.accelerator,
                  choice.reason,
                  options.connect.empty() ? "qemu:///embed" : options.connect,
                  host_.version(),
                  host_.qemu_version(),
                  image_.release};
    }

    const QemuFacts& facts() const override { return facts_; }

    std::unique_ptr<ResizedLinux> boot(Way way) override {
        return std::make_unique<QemuGuest>(host_.connection(), config(way, facts_.accelerator), schedule_,
                                           waiter_);
    }

  private:
    QemuGuestConfig config(Way way, Accelerator accelerator) const {
        QemuGuestConfig config;
        config.way = way;
        config.type = accelerator == Accelerator::kvm ? QemuDomain::Type::kvm : QemuDomain::Type::qemu;
        config.settings = settings_;
        config.image = image_;
        config.folder = folder_.path();
        return config;
    }

    // A host may have KVM that cannot boot an operating system, as where KVM is provided inside of a VM; so it
    // is tried.
    Choice choose_accelerator(const CompareOptions& options) {
        const Accelerate wanted = options.accelerate.value_or(Accelerate::automatic);
        if (wanted == Accelerate::kvm) return {Accelerator::kvm, "as --accelerate says"};
        if (wanted == Accelerate::emulation) return {Accelerator::emulation, "as --accelerate says"};
        if (access("/dev/kvm", R_OK | W_OK) != 0)
            return {Accelerator::emulation, "there is no /dev/kvm for this user"};
        constexpr std::chrono::seconds longest_trial(30);
        Waiter waiter(waiter_.interruption(), std::min<Clock::duration>(waiter_.deadline(), longest_trial));
        const Way way = *std::ranges::find_if(options.ways, is_of_qemu);
        try {
            QemuGuest guest(host_.connection(), config(way, Accelerator::kvm), schedule_, waiter);
            return {Accelerator::kvm, "it boots the guest"};
        } catch (const GuestDied& error) {
            return {Accelerator::emulation, "with KVM " + first_line(error.what())};
        } catch (const LibvirtError& error) {
            return {Accelerator::emulation, first_line(error.message())};
        }
    }

    const Schedule& schedule_;
    Waiter& waiter_;
    // In this order, so that each outlives what needs it.
    const PrivateFolder folder_;
    const GuestImage image_;
    const LibvirtHost host_;
    const GuestSettings settings_;
    QemuFacts facts_;
};

}  // namespace

bool can_compare_with_qemu() {
    return true;
}

std::unique_ptr<QemuWays> open_qemu_ways(const CompareOptions& options, const Schedule& schedule,
                                         Waiter& waiter) {
    return std::make_unique<LibvirtWays>(options, schedule, waiter);
}

}  // namespace gpremap
