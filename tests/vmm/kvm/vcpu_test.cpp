// The vCPU without agent and remapper: what becomes of an instruction whose access KVM hands out as MMIO.
#include "vmm/kvm/vcpu.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/instruction.h"
#include "vmm/vcpus/store_origin_x86_64.h"

namespace gpremap {
namespace {

constexpr uint64_t size = large;
constexpr uint64_t code_at = abi::image_base;

bool is_hypercall(const Exit& exit) {
    const auto* io = std::get_if<exits::Io>(&exit);
    return io && io->port == GPREMAP_HYPERCALL_PORT && io->direction == exits::Io::Direction::out &&
           io->size == 4;
}

class VcpuTest : public KvmTest {
  protected:
    void prepare() override {
        kvm_ = std::make_unique<Kvm>();
        vm_ = std::make_unique<Vm>(*kvm_);
        vcpu_ = vm_->create_vcpu();
        agent_ = std::make_unique<AgentMemory>(*vm_);
        build_agent_world(agent_->bytes(), {base, gib}, kvm_->capabilities());
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        memory_ = static_cast<uint64_t*>(memory);
        vcpu_->set_special_registers(user_state(0, vcpu_->special_registers()));
    }

    void TearDown() override {
        vm_.reset();
        if (memory_) munmap(memory_, size);
    }

    // Runs `code`, then a hypercall, with rbx and rdi = base, rax = 0x11, rcx = 1, until the first exit.
    Exit run(std::vector<uint8_t> code) {
        code.insert(code.end(), {0xe7, 0xe4});  // out %eax, $hypercall_port
        EXPECT_TRUE(agent_->write(code_at, code.data(), code.size()));
        kvm_regs regs = entry_registers(0, code_at);
        regs.rbx = regs.rdi = base;
        regs.rax = 0x11;
        regs.rcx = 1;
        vcpu_->set_registers(regs);
        return run_on();
    }

    Exit run_on() {
        Exit exit = vcpu_->run();
        while (std::holds_alternative<exits::Interrupted>(exit)) exit = vcpu_->run();
        return exit;
    }

    enum class Slot { absent, read_only, writable };

    void set_slot(Slot slot) {
        if (slot_ != Slot::absent) vm_->set_memory(1, base, 0, nullptr, 0);
        slot_ = slot;
        if (slot != Slot::absent)
            vm_->set_memory(1, base, size, memory_, slot == Slot::read_only ? KVM_MEM_READONLY : 0);
    }

    std::unique_ptr<Kvm> kvm_;
    std::unique_ptr<Vm> vm_;
    std::unique_ptr<AgentMemory> agent_;
    std::unique_ptr<Vcpu> vcpu_;
    uint64_t* memory_ = nullptr;
    Slot slot_ = Slot::absent;
};

struct Modify {
    const char* name;
    std::vector<uint8_t> code;
    uint64_t result;
};

// Memory appears between the exit and the retry: the instruction must take effect exactly once.
TEST_F(VcpuTest, AbandonedReadModifyWriteIsRepeatedExactly) {
    if (!vcpu_->can_hide_memory()) GTEST_SKIP() << "this host's KVM lacks KVM_CAP_X86_SMM";
    const Modify modifications[] = {
        {"inc", {0x48, 0xff, 0x03}, 1},     {"lock inc", {0xf0, 0x48, 0xff, 0x03}, 1},
        {"add", {0x48, 0x01, 0x03}, 0x11},  {"xadd", {0xf0, 0x48, 0x0f, 0xc1, 0x03}, 0x11},
        {"xchg", {0x48, 0x87, 0x03}, 0x11}, {"not", {0x48, 0xf7, 0x13}, ~0ull},
        {"push (%rbx)", {0xff, 0x33}, 0},
    };
    for (const Modify& modify : modifications) {
        SCOPED_TRACE(modify.name);
        set_slot(Slot::absent);
        *memory_ = 0;
        Exit exit = run(modify.code);
        auto* mmio = std::get_if<exits::Mmio>(&exit);
        ASSERT_TRUE(mmio);
        EXPECT_EQ(mmio->kind, abi::FaultKind::read);
        EXPECT_EQ(mmio->gpa, base);
        EXPECT_EQ(vcpu_->registers().rip, code_at);

        set_slot(Slot::writable);
        vcpu_->abandon_mmio(layout::empty_table);
        EXPECT_EQ(*memory_, 0u) << "the abandoned half has reached memory";
        EXPECT_EQ(vcpu_->registers().rax, 0x11u);
        ASSERT_TRUE(is_hypercall(run_on()));
        EXPECT_EQ(*memory_, modify.result);
    }
}

TEST_F(VcpuTest, StoreIsTakenBackAndRepeated) {
    const Modify stores[] = {
        {"mov %rax,(%rbx)", {0x48, 0x89, 0x03}, 0x11},
        {"movb $7,(%rbx)", {0xc6, 0x03, 0x07}, 7},
        {"rep stosq", {0xf3, 0x48, 0xab}, 0x11},
        {"stosb", {0xaa}, 0x11},
    };
    for (Slot before : {Slot::absent, Slot::read_only})
        for (const Modify& store : stores) {
            SCOPED_TRACE(store.name);
            set_slot(before);
            *memory_ = 0;
            Exit exit = run(store.code);
            auto* mmio = std::get_if<exits::Mmio>(&exit);
            ASSERT_TRUE(mmio);
            EXPECT_EQ(mmio->kind, abi::FaultKind::write);
            EXPECT_EQ(mmio->gpa, base);

            kvm_regs after = vcpu_->registers();
            std::vector<std::byte> following(longest_instruction);
            following.resize(vm_->read_guest(after.rip, following));
            std::vector<std::byte> preceding(after.rip - code_at);
            ASSERT_EQ(vm_->read_guest(code_at, preceding), preceding.size());
            auto origin = find_origin(after, preceding, following,
                                      {mmio->gpa, std::span(mmio->data).first(mmio->size)});
            ASSERT_TRUE(origin);
            EXPECT_EQ(origin->repeat, StoreOrigin::Repeat::exact);
            EXPECT_EQ(origin->before.rip, code_at);
            EXPECT_EQ(origin->before.rdi, base);

            set_slot(Slot::writable);
            vcpu_->abandon_mmio(layout::empty_table);
            vcpu_->set_registers(origin->before);
            ASSERT_TRUE(is_hypercall(run_on()));
            EXPECT_EQ(*memory_, store.result);
        }
}

TEST_F(VcpuTest, HostFaultRepeatsTheInstruction) {
    set_slot(Slot::writable);
    ASSERT_EQ(mprotect(memory_, size, PROT_READ), 0);
    ASSERT_TRUE(std::holds_alternative<exits::HostFault>(run({0xf0, 0x48, 0xff, 0x03})));
    EXPECT_EQ(vcpu_->registers().rip, code_at);
    ASSERT_TRUE(std::holds_alternative<exits::HostFault>(run_on()));
    ASSERT_EQ(mprotect(memory_, size, PROT_READ | PROT_WRITE), 0);
    ASSERT_TRUE(is_hypercall(run_on()));
    EXPECT_EQ(*memory_, 1u);
}

}  // namespace
}  // namespace gpremap
