/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCG plugin of tools/bench boot: counts the instructions of a guest from the reset of the machine to
 * the first one of process 1 ("boot"), and from there to the write() in which the agent tells the host
 * READY=1 ("agent"). Then it writes the report and ends the machine. Loaded into QEMU by boot-rig;
 * development machine only, everything in the guest is the developer's own.
 *
 * Arguments: map=FILE (System.map of the guest's kernel), out=FILE.
 *
 * What is counted: the instructions of each translated block when it is entered. A string instruction
 * with a repeat prefix counts once, however often it repeats; the repetitions are reported apart.
 *
 * Report, one record a line:
 *      boot N, agent N                 instructions of the two stages
 *      last NAME                       instead of "agent" if the end was not reached: the phase it came to
 *      user N                          of the second, those in user mode
 *      repeat STAGE N                  repetitions of string instructions
 *      open N                          of the second stage, those until the agent opened its port
 *      phase NAME N                    between the entry of that __init function and that of the next
 *      symbol STAGE NAME N CALLS       instructions in a function of the kernel, and entries of it
 *
 * QEMU's plugin header is not in any Debian package. What is declared here is the interface that its
 * documentation describes ("TCG Plugins" in the developer manual; version 4 of the interface, QEMU 9.2
 * and newer accept it; 10.0 refuses plugins of versions 0 and 1). Nothing is linked: QEMU exports these
 * functions, and GLib's are in the process.
 */

#include <inttypes.h>
#include <unistd.h>

#include "basic/cleanup.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- QEMU's side ---- */

typedef uint64_t qemu_plugin_id_t;

typedef struct qemu_info_t {
        const char *target_name;
        struct {
                int min, cur;
        } version;
        bool system_emulation;
        struct {
                int smp_vcpus, max_vcpus;
        } system;
} qemu_info_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;

enum qemu_plugin_cb_flags {
        QEMU_PLUGIN_CB_NO_REGS,
        QEMU_PLUGIN_CB_R_REGS,
};

/* GArray and GByteArray: the public part of both. */
typedef struct ByteArray {
        void *data;
        unsigned len;
} ByteArray;

typedef struct RegisterDescriptor {
        struct qemu_plugin_register *handle;
        const char *name, *feature;
} RegisterDescriptor;

typedef void (*TbTransCallback)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*TbExecCallback)(unsigned vcpu, void *userdata);
typedef void (*VcpuCallback)(qemu_plugin_id_t id, unsigned vcpu);
typedef void (*ExitCallback)(qemu_plugin_id_t id, void *userdata);

extern void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, VcpuCallback callback);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, TbTransCallback callback);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, TbExecCallback callback,
                                                 enum qemu_plugin_cb_flags flags, void *userdata);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ExitCallback callback, void *userdata);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern ByteArray *qemu_plugin_get_registers(void);
extern int qemu_plugin_read_register(struct qemu_plugin_register *handle, ByteArray *buf);
extern bool qemu_plugin_read_memory_vaddr(uint64_t addr, ByteArray *data, size_t len);
extern ByteArray *g_byte_array_new(void);
extern ByteArray *g_byte_array_set_size(ByteArray *array, unsigned length);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 4;

/* ---- ours ---- */

#define USER_HALF_END UINT64_C(0x0000800000000000)
#define READY_TEXT "READY=1"
#define WRITE_MAX 65536U
#define SYMBOLS_MAX 400000U

typedef enum Stage { STAGE_BOOT, STAGE_AGENT, _STAGE_MAX } Stage;

static const char *const stage_names[_STAGE_MAX] = { "boot", "agent" };

typedef struct Symbol {
        uint64_t address;
        char *name;
        bool init;                      /* begins a phase */
        uint64_t insns[_STAGE_MAX], calls[_STAGE_MAX];
        uint64_t span;                  /* of the phase */
} Symbol;

typedef struct Block {
        uint64_t last_address;
        Symbol *symbol;                 /* NULL in user space */
        unsigned n;
        bool entry;                     /* begins where the symbol does */
        bool repeats;                   /* ends with a string instruction that has a repeat prefix */
} Block;

static struct {
        Symbol *symbols;
        size_t n_symbols;
        Symbol outside;                 /* firmware and the kernel before it runs at its address */
        FILE *out;
        struct qemu_plugin_register *rsi, *rdx;
        ByteArray *buffer;

        Stage stage;
        bool started;                   /* past the point where low addresses are not user space */
        uint64_t total, boot, user, opened;
        uint64_t repeats[_STAGE_MAX];
        uint64_t repeat_address;        /* of the block before, if it ended with a string instruction */
        Symbol *phase;
        uint64_t phase_begin;
} state;

static Symbol *symbol_find(uint64_t address)
{
        size_t low = 0, high = state.n_symbols;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (state.symbols[middle].address <= address)
                        low = middle + 1;
                else
                        high = middle;
        }

        return low > 0 ? &state.symbols[low - 1] : &state.outside;
}

static Symbol *symbol_by_name(const char *name)
{
        for (size_t i = 0; i < state.n_symbols; i++)
                if (streq(state.symbols[i].name, name))
                        return &state.symbols[i];

        return NULL;
}

/* ---- report ---- */

static void phase_begins(Symbol *next)
{
        if (state.phase)
                state.phase->span += state.total - state.phase_begin;
        state.phase = next;
        state.phase_begin = state.total;
}

static void report_symbol(const Symbol *s)
{
        for (Stage i = 0; i < _STAGE_MAX; i++)
                if (s->insns[i] > 0)
                        fprintf(state.out, "symbol %s %s %" PRIu64 " %" PRIu64 "\n", stage_names[i],
                                s->name, s->insns[i], s->calls[i]);
}

static void report(bool complete)
{
        if (!state.out)
                return;

        fprintf(state.out, "boot %" PRIu64 "\n", state.stage == STAGE_BOOT ? state.total : state.boot);
        if (complete)
                fprintf(state.out, "agent %" PRIu64 "\n", state.total - state.boot);
        else
                fprintf(state.out, "last %s\n", state.stage == STAGE_AGENT ? "process 1" :
                                                state.phase ? state.phase->name : "reset");
        fprintf(state.out, "user %" PRIu64 "\n", state.user);
        if (state.opened > 0)
                fprintf(state.out, "open %" PRIu64 "\n", state.opened - state.boot);
        for (Stage i = 0; i < _STAGE_MAX; i++)
                fprintf(state.out, "repeat %s %" PRIu64 "\n", stage_names[i], state.repeats[i]);
        for (size_t i = 0; i < state.n_symbols; i++)
                if (state.symbols[i].span > 0)
                        fprintf(state.out, "phase %s %" PRIu64 "\n", state.symbols[i].name,
                                state.symbols[i].span);
        report_symbol(&state.outside);
        for (size_t i = 0; i < state.n_symbols; i++)
                report_symbol(&state.symbols[i]);

        if (fclose(state.out) != 0)
                fprintf(stderr, "count: the report can not be written: %m\n");
        state.out = NULL;
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *userdata)
{
        report(false);
}

/* ---- counting ---- */

static uint64_t read_register(struct qemu_plugin_register *handle)
{
        uint64_t value = 0;

        g_byte_array_set_size(state.buffer, 0);
        if (qemu_plugin_read_register(handle, state.buffer) < 0)
                return 0;
        memcpy(&value, state.buffer->data, MIN((size_t) state.buffer->len, sizeof(value)));
        return value;
}

/* write(): the kernel's function has the address in its second and the size in its third argument. */
static bool is_ready_write(void)
{
        uint64_t address = read_register(state.rsi), size = MIN(read_register(state.rdx), WRITE_MAX);

        return size > 0 && qemu_plugin_read_memory_vaddr(address, state.buffer, size) &&
               memmem(state.buffer->data, size, READY_TEXT, strlen(READY_TEXT));
}

static void on_port_write(unsigned vcpu, void *userdata)
{
        if (state.stage != STAGE_AGENT || !is_ready_write())
                return;

        report(true);
        _exit(EXIT_SUCCESS);
}

static void on_port_open(unsigned vcpu, void *userdata)
{
        if (state.stage == STAGE_AGENT && state.opened == 0)
                state.opened = state.total;
}

static void on_kernel_init(unsigned vcpu, void *userdata)
{
        state.started = true;
}

static void on_block(unsigned vcpu, void *userdata)
{
        const Block *b = userdata;
        Symbol *s = b->symbol;

        if (b->repeats && b->n == 1 && b->last_address == state.repeat_address) {
                state.repeats[state.stage]++;
                return;
        }
        state.repeat_address = b->repeats ? b->last_address : 0;

        if (!s) {
                if (!state.started)
                        s = &state.outside;
                else if (state.stage == STAGE_BOOT) {
                        phase_begins(NULL);
                        state.stage = STAGE_AGENT;
                        state.boot = state.total;
                }
        } else if (b->entry) {
                if (s->init && state.stage == STAGE_BOOT)
                        phase_begins(s);
                s->calls[state.stage]++;
        }

        state.total += b->n;
        if (s)
                s->insns[state.stage] += b->n;
        else
                state.user += b->n;
}

/* ins, outs, movs, cmps, stos, lods, scas behind prefixes of which one is a repetition. */
static bool is_repeated_string(const struct qemu_plugin_insn *insn)
{
        uint8_t code[15];
        size_t n = qemu_plugin_insn_data(insn, code, sizeof(code)), i;
        bool repeat = false;

        for (i = 0; i < n; i++) {
                if (code[i] == 0xf2 || code[i] == 0xf3)
                        repeat = true;
                else if (code[i] != 0x66 && code[i] != 0x67 && (code[i] & 0xf0) != 0x40)
                        break;
        }

        return repeat && i < n && (code[i] & 0xfe) != 0xa8 &&
               ((code[i] >= 0x6c && code[i] <= 0x6f) || (code[i] >= 0xa4 && code[i] <= 0xaf));
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
        static const struct {
                const char *symbol;
                TbExecCallback callback;
        } watched[] = {
                { "kernel_init", on_kernel_init },
                { "port_fops_open", on_port_open },
                { "port_fops_write", on_port_write },
        };
        uint64_t address = qemu_plugin_tb_vaddr(tb);
        struct qemu_plugin_insn *last;
        Block *b;

        b = new0(Block, 1);
        if (!b) {
                fprintf(stderr, "count: out of memory\n");
                _exit(EXIT_FAILURE);
        }

        b->n = (unsigned) qemu_plugin_tb_n_insns(tb);
        last = qemu_plugin_tb_get_insn(tb, b->n - 1);
        b->last_address = qemu_plugin_insn_vaddr(last);
        b->repeats = is_repeated_string(last);
        b->symbol = address < USER_HALF_END ? NULL : symbol_find(address);
        b->entry = b->symbol && b->symbol->address == address;

        /* They come first: what they see is the count without this block. */
        for (size_t i = 0; b->entry && i < ELEMENTSOF(watched); i++)
                if (streq(b->symbol->name, watched[i].symbol))
                        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched[i].callback,
                                                             QEMU_PLUGIN_CB_R_REGS, NULL);
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);
}

static void on_vcpu(qemu_plugin_id_t id, unsigned vcpu)
{
        ByteArray *registers = qemu_plugin_get_registers();
        const RegisterDescriptor *r = registers->data;

        for (size_t i = 0; i < registers->len; i++) {
                if (streq(r[i].name, "rsi"))
                        state.rsi = r[i].handle;
                if (streq(r[i].name, "rdx"))
                        state.rdx = r[i].handle;
        }
        if (!state.rsi || !state.rdx) {
                fprintf(stderr, "count: the processor has no registers rsi and rdx\n");
                _exit(EXIT_FAILURE);
        }
}

/* ---- start ---- */

/* Functions only. The file is sorted by address. */
static int map_load(const char *path)
{
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        bool init = false;
        char line[512];

        if (!f)
                return -errno;
        state.symbols = new0(Symbol, SYMBOLS_MAX);
        if (!state.symbols)
                return -ENOMEM;

        while (fgets(line, sizeof(line), f)) {
                char name[256], type;
                uint64_t address;
                Symbol *s;

                if (sscanf(line, "%" SCNx64 " %c %255s", &address, &type, name) != 3)
                        return -EBADMSG;
                if (streq(name, "_sinittext"))
                        init = true;
                if (streq(name, "_einittext"))
                        init = false;
                /* Of several names for one place the first one counts. */
                if (!strchr("tTwW", type) || address < USER_HALF_END || startswith(name, "__pfx_") ||
                    (state.n_symbols > 0 &&
                     state.symbols[state.n_symbols - 1].address == address))
                        continue;
                if (state.n_symbols >= SYMBOLS_MAX)
                        return -E2BIG;
                s = &state.symbols[state.n_symbols++];
                *s = (Symbol) { .address = address, .name = strdup(name), .init = init };
                if (!s->name)
                        return -ENOMEM;
        }

        return ferror(f) ? -EIO : 0;
}

/* What begins a phase though it is no __init function. */
static const char *const more_phases[] = { "kernel_init", "free_initmem", "mark_rodata_ro", "bprm_execve" };
/* Without these the count would have no end. */
static const char *const needed[] = { "_sinittext", "kernel_init", "port_fops_write", "port_fops_open" };

static int install(const char *map, const char *out)
{
        int r;

        r = map_load(map);
        if (r < 0) {
                fprintf(stderr, "count: '%s' is no System.map: %s\n", map, strerror(-r));
                return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(needed); i++)
                if (!symbol_by_name(needed[i])) {
                        fprintf(stderr, "count: '%s' has no symbol %s\n", map, needed[i]);
                        return -ENOENT;
                }
        for (size_t i = 0; i < ELEMENTSOF(more_phases); i++) {
                Symbol *s = symbol_by_name(more_phases[i]);

                if (s)
                        s->init = true;
        }

        state.outside.name = strdup("(elsewhere)");
        state.buffer = g_byte_array_new();
        state.out = fopen(out, "we");
        if (!state.outside.name || !state.out) {
                fprintf(stderr, "count: '%s' can not be written: %m\n", out);
                return -errno;
        }
        return 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
        const char *map = NULL, *out = NULL;

        for (int i = 0; i < argc; i++) {
                const char *value;

                if ((value = startswith(argv[i], "map=")))
                        map = value;
                else if ((value = startswith(argv[i], "out=")))
                        out = value;
                else {
                        fprintf(stderr, "count: unknown argument '%s'\n", argv[i]);
                        return -EINVAL;
                }
        }
        if (!map || !out || !info->system_emulation || !streq(info->target_name, "x86_64") ||
            info->system.max_vcpus != 1) {
                fprintf(stderr, "count: needs map=FILE, out=FILE and an x86_64 machine with one CPU\n");
                return -EINVAL;
        }
        if (install(map, out) < 0)
                return -EINVAL;

        qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
        qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
        return 0;
}
