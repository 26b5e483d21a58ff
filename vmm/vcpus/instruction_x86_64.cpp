#include <Zydis/Zydis.h>

#include <algorithm>
#include <cstring>

#include "vmm/vcpus/instruction.h"
#include "vmm/vcpus/store_origin_x86_64.h"

namespace gpremap {
namespace {

constexpr uint64_t page_size = 4096;
constexpr uint64_t direction_flag = 1 << 10;

struct Instruction {
    ZydisDecodedInstruction head;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    std::span<const ZydisDecodedOperand> all() const { return {operands, head.operand_count}; }
    bool repeats() const {
        return head.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    }
};

std::optional<Instruction> decode(std::span<const std::byte> code) {
    static const ZydisDecoder decoder = [] {
        ZydisDecoder made;
        ZydisDecoderInit(&made, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        return made;
    }();
    Instruction instruction;
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code.data(), std::min(code.size(), longest_instruction),
                                           &instruction.head, instruction.operands)))
        return std::nullopt;
    return instruction;
}

// ---- addresses ----

ZydisRegisterContext register_context(const kvm_regs& regs) {
    ZydisRegisterContext context = {};
    const uint64_t in_order[] = {regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp,
                                 regs.rsi, regs.rdi, regs.r8,  regs.r9,  regs.r10, regs.r11,
                                 regs.r12, regs.r13, regs.r14, regs.r15};
    for (unsigned i = 0; i < std::size(in_order); i++) {
        context.values[ZYDIS_REGISTER_RAX + i] = in_order[i];
        context.values[ZYDIS_REGISTER_EAX + i] = static_cast<uint32_t>(in_order[i]);
    }
    context.values[ZYDIS_REGISTER_AL] = regs.rax & 0xff;  // xlat
    return context;
}

bool is_stack_operand(const ZydisDecodedOperand& operand) {
    return operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && operand.mem.base == ZYDIS_REGISTER_RSP;
}

// A bit test with a register reaches beyond its operand: the register counts bits, signed, from there.
bool has_bit_offset(const Instruction& instruction) {
    switch (instruction.head.mnemonic) {
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
            return instruction.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
        default:
            return false;
    }
}

uint64_t register_value(const ZydisRegisterContext& context, ZydisRegister name) {
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
    return context.values[whole];
}

uint64_t bit_offset(const Instruction& instruction, const ZydisRegisterContext& context, uint64_t size) {
    uint64_t bits = register_value(context, instruction.operands[1].reg.value);
    int64_t index = size == 8   ? static_cast<int64_t>(bits)
                    : size == 4 ? static_cast<int32_t>(bits)
                                : static_cast<int16_t>(bits);
    return static_cast<uint64_t>(index >> 3) & ~(size - 1);
}

std::optional<Access> access_of(const Instruction& instruction, const ZydisDecodedOperand& operand,
                                const kvm_regs& regs, const ZydisRegisterContext& context) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type != ZYDIS_MEMOP_TYPE_MEM)
        return std::nullopt;
    bool writes = operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    Access access = {0, operand.size / 8u, writes ? abi::FaultKind::write : abi::FaultKind::read};
    if (ZYAN_FAILED(
            ZydisCalcAbsoluteAddressEx(&instruction.head, &operand, regs.rip, &context, &access.address)))
        return std::nullopt;
    if (is_stack_operand(operand) && writes) access.address = regs.rsp - access.size;
    if (has_bit_offset(instruction)) access.address += bit_offset(instruction, context, access.size);
    return access;
}

// What is only a hint, or only names an address, accesses nothing.
bool accesses_memory(const Instruction& instruction, const kvm_regs& regs) {
    if (instruction.head.mnemonic == ZYDIS_MNEMONIC_NOP ||
        instruction.head.meta.category == ZYDIS_CATEGORY_PREFETCH)
        return false;
    return !(instruction.repeats() && regs.rcx == 0);
}

void add_split_at_pages(std::vector<Access>& list, Access access) {
    while (access.size) {
        uint64_t here = std::min(access.size, page_size - access.address % page_size);
        list.push_back({access.address, here, access.kind});
        access.address += here;
        access.size -= here;
    }
}

std::vector<Access> data_accesses(const Instruction& instruction, const kvm_regs& regs) {
    std::vector<Access> list;
    if (!accesses_memory(instruction, regs)) return list;
    ZydisRegisterContext context = register_context(regs);
    for (abi::FaultKind kind : {abi::FaultKind::read, abi::FaultKind::write})
        for (const ZydisDecodedOperand& operand : instruction.all())
            if (auto access = access_of(instruction, operand, regs, context); access && access->kind == kind)
                add_split_at_pages(list, *access);
    return list;
}

// ---- looking back from a store ----

enum class StoreClass { plain, from_inputs_kept, from_inputs_lost };

StoreClass classify(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_MOVNTI:
        case ZYDIS_MNEMONIC_PUSH:
        case ZYDIS_MNEMONIC_STOSB:
        case ZYDIS_MNEMONIC_STOSW:
        case ZYDIS_MNEMONIC_STOSD:
        case ZYDIS_MNEMONIC_STOSQ:
            return StoreClass::plain;
        case ZYDIS_MNEMONIC_MOVSB:
        case ZYDIS_MNEMONIC_MOVSW:
        case ZYDIS_MNEMONIC_MOVSD:
        case ZYDIS_MNEMONIC_MOVSQ:
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_INC:
        case ZYDIS_MNEMONIC_DEC:
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_NOT:
        case ZYDIS_MNEMONIC_NEG:
            return StoreClass::from_inputs_kept;
        default:
            return StoreClass::from_inputs_lost;
    }
}

// Takes back how far a string instruction moved on, or a push moved the stack, in one round.
kvm_regs undo_progress(const Instruction& instruction, kvm_regs regs) {
    uint64_t back = instruction.head.operand_width / 8u;
    if (regs.rflags & direction_flag) back = -back;
    switch (instruction.head.meta.category) {
        case ZYDIS_CATEGORY_STRINGOP:
            regs.rdi -= back;
            if (instruction.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY) regs.rsi -= back;
            if (instruction.repeats()) regs.rcx++;
            break;
        case ZYDIS_CATEGORY_PUSH:
            regs.rsp += 8;
            break;
        default:
            break;
    }
    return regs;
}

bool source_agrees(const Instruction& instruction, const kvm_regs& regs, uint64_t offset,
                   std::span<const std::byte> data) {
    uint64_t value;
    auto is_source = [](const ZydisDecodedOperand& operand) {
        return (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) &&
               operand.type != ZYDIS_OPERAND_TYPE_MEMORY &&
               !(operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
    };
    auto source = std::ranges::find_if(instruction.all(), is_source);
    if (source == instruction.all().end()) return true;
    if (source->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        value = source->imm.value.u;
    else if (source->type == ZYDIS_OPERAND_TYPE_REGISTER)
        value = register_value(register_context(regs), source->reg.value);
    else
        return false;
    bool high_byte = source->type == ZYDIS_OPERAND_TYPE_REGISTER && source->reg.value >= ZYDIS_REGISTER_AH &&
                     source->reg.value <= ZYDIS_REGISTER_BH;
    if (high_byte) value >>= 8;
    return offset + data.size() <= sizeof value &&
           std::memcmp(reinterpret_cast<const std::byte*>(&value) + offset, data.data(), data.size()) == 0;
}

std::optional<StoreOrigin> origin_if_it_stores(const Instruction& instruction, const kvm_regs& before,
                                               const PendingStore& store) {
    StoreClass store_class = classify(instruction.head.mnemonic);
    ZydisRegisterContext context = register_context(before);
    for (const ZydisDecodedOperand& operand : instruction.all()) {
        auto access = access_of(instruction, operand, before, context);
        if (!access || access->kind != abi::FaultKind::write) continue;
        uint64_t offset = store.address - access->address;
        if (offset >= access->size || access->size - offset < store.data.size()) continue;
        if (store_class == StoreClass::plain && !source_agrees(instruction, before, offset, store.data))
            continue;
        return StoreOrigin{before, store_class == StoreClass::from_inputs_lost ? StoreOrigin::Repeat::unlike
                                                                               : StoreOrigin::Repeat::exact};
    }
    return std::nullopt;
}

}  // namespace

std::vector<Access> locate(const kvm_regs& regs, std::span<const std::byte> code) {
    std::vector<Access> list;
    auto instruction = decode(code);
    add_split_at_pages(
        list, {regs.rip, instruction ? instruction->head.length : code.size() + 1, abi::FaultKind::execute});
    if (instruction) std::ranges::copy(data_accesses(*instruction, regs), std::back_inserter(list));
    return list;
}

std::optional<StoreOrigin> find_origin(const kvm_regs& after, std::span<const std::byte> preceding,
                                       std::span<const std::byte> following, const PendingStore& store) {
    if (auto instruction = decode(following); instruction && instruction->repeats())
        if (auto origin = origin_if_it_stores(*instruction, undo_progress(*instruction, after), store))
            return origin;

    for (std::size_t length = std::min(preceding.size(), longest_instruction); length > 0; length--) {
        auto instruction = decode(preceding.last(length));
        if (!instruction || instruction->head.length != length || instruction->repeats()) continue;
        kvm_regs before = undo_progress(*instruction, after);
        before.rip -= length;
        if (auto origin = origin_if_it_stores(*instruction, before, store)) return origin;
    }
    return std::nullopt;
}

}  // namespace gpremap
