// The vCPU without agent and remapper: what KVM hands out of an instruction whose access did not get through, and that it
// takes effect exactly once when it is repeated.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr uint64_t size = large;
constexpr uint64_t code_at = abi::image_base;

struct Access {
    const char* name;
    uint32_t word;  // of an instruction about [x1], with x0 = 0x11, x5 = 0x22 and x6 free
    abi::FaultKind kind;
    uint64_t first_word;  // in memory afterwards, which held 1, 2
    uint64_t x1;          // afterwards
};

constexpr auto r = abi::FaultKind::read, w = abi::FaultKind::write;
const Access accesses[] = {
    {"ldr x0, [x1]", 0xf9400020, r, 1, base},
    {"str x0, [x1]", 0xf9000020, w, 0x11, base},
    {"ldr x0, [x1], #8", 0xf8408420, r, 1, base + 8},
    {"str x0, [x1], #8", 0xf8008420, w, 0x11, base + 8},
    {"ldp x0, x5, [x1], #16", 0xa8c11420, r, 1, base + 16},
    {"stp x0, x5, [x1], #16", 0xa8811420, w, 0x11, base + 16},
    {"stp x0, x5, [x1]", 0xa9001420, w, 0x11, base},
    {"ldxr x0, [x1]", 0xc85f7c20, r, 1, base},
    {"stlr x0, [x1]", 0xc89ffc20, w, 0x11, base},
    {"ldadd x0, x5, [x1]", 0xf8200025, w, 0x12, base},
    {"swp x0, x5, [x1]", 0xf8208025, w, 0x11, base},
    {"str q0, [x1]", 0x3d800020, w, 0, base},
};

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

    // Runs the instruction, then a hypercall, until the first exit. The host's mapping has `rights` meanwhile.
    Exit run(uint32_t word, int rights = PROT_READ | PROT_WRITE) {
        EXPECT_EQ(mprotect(memory_, size, PROT_READ | PROT_WRITE), 0);
        memory_[0] = 1;
        memory_[1] = 2;
        EXPECT_EQ(mprotect(memory_, size, rights), 0);
        // mov x7, #doorbell; str w0, [x7, #4 * port]
        const uint32_t code[] = {word, 0xd2a20007, 0xb90000e0 | GPREMAP_HYPERCALL_PORT << 10};
        EXPECT_TRUE(agent_->write(code_at, code, sizeof code));
        kvm_regs regs = entry_registers(0, code_at);
        regs.regs.regs[0] = 0x11;
        regs.regs.regs[1] = base;
        regs.regs.regs[5] = 0x22;
        vcpu_->finish_exit();
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

    void expect_done(const Access& access) {
        ASSERT_TRUE(is_hypercall(run_on())) << vcpu_->describe_exit();
        EXPECT_EQ(memory_[0], access.first_word);
        EXPECT_EQ(vcpu_->registers().regs.regs[1], access.x1);
    }

    std::unique_ptr<Kvm> kvm_;
    std::unique_ptr<Vm> vm_;
    std::unique_ptr<AgentMemory> agent_;
    std::unique_ptr<Vcpu> vcpu_;
    uint64_t* memory_ = nullptr;
    Slot slot_ = Slot::absent;
};

// Memory appears between the exit and the retry.
TEST_F(VcpuTest, AccessWithoutASlotHasItsAddressAndIsRepeatedExactly) {
    for (Slot before : {Slot::absent, Slot::read_only})
        for (const Access& access : accesses) {
            if (before == Slot::read_only && access.kind == r) continue;
            SCOPED_TRACE(access.name);
            set_slot(before);
            Exit exit = run(access.word);
            auto* mmio = std::get_if<exits::Mmio>(&exit);
            ASSERT_TRUE(mmio) << vcpu_->describe_exit();
            EXPECT_EQ(mmio->gpa, base);
            EXPECT_EQ(mmio->kind, access.kind);
            EXPECT_EQ(vcpu_->registers().regs.pc, code_at);
            EXPECT_EQ(memory_[0], 1u);

            set_slot(Slot::writable);
            vcpu_->abandon_mmio(layout::empty_table);
            EXPECT_EQ(vcpu_->registers().regs.pc, code_at);
            EXPECT_EQ(vcpu_->registers().regs.regs[0], 0x11u);
            EXPECT_EQ(memory_[0], 1u) << "the abandoned half has reached memory";
            expect_done(access);
        }
}

TEST_F(VcpuTest, HostFaultRepeatsTheInstruction) {
    set_slot(Slot::writable);
    for (const Access& access : accesses) {
        SCOPED_TRACE(access.name);
        Exit exit = run(access.word, access.kind == w ? PROT_READ : PROT_NONE);
        ASSERT_TRUE(std::holds_alternative<exits::HostFault>(exit)) << vcpu_->describe_exit();
        EXPECT_EQ(vcpu_->registers().regs.pc, code_at);
        ASSERT_TRUE(std::holds_alternative<exits::HostFault>(run_on()));
        ASSERT_EQ(mprotect(memory_, size, PROT_READ | PROT_WRITE), 0);
        expect_done(access);
    }
}

// The result of a hypercall, and every other register as it was.
TEST_F(VcpuTest, HypercallReturnsBehindItsStore) {
    const uint32_t nop = 0xd503201f;
    ASSERT_TRUE(is_hypercall(run(nop)));
    const kvm_regs before = vcpu_->registers();
    vcpu_->set_result(77);
    const uint32_t again[] = {0xb90000e0 | GPREMAP_HYPERCALL_PORT << 10};
    ASSERT_TRUE(agent_->write(code_at + 12, again, sizeof again));
    ASSERT_TRUE(is_hypercall(run_on()));
    kvm_regs expected = before;
    expected.regs.regs[0] = 77;
    expected.regs.pc = code_at + 12;
    const kvm_regs& after = vcpu_->registers();
    EXPECT_EQ(std::memcmp(&after.regs, &expected.regs, sizeof after.regs), 0);
}

}  // namespace
}  // namespace gpremap
