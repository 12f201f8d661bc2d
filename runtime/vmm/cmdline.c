/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel command line: see cmdline.h. Host side; the operator's words are checked, never trusted.
 */

#include "runtime/vmm/cmdline.h"

#include <inttypes.h>

#include "basic/error.h"
#include "basic/strv.h"

typedef struct CmdlineItem {
        bool (*applies)(const VmConfig *c);     /* NULL: always */
        const char *text;                       /* or */
        int (*add)(const VmConfig *c, Strv *words);
} CmdlineItem;

static bool is_tcg(const VmConfig *c)
{
        return c->accel == VM_ACCEL_TCG;
}

static bool is_uniprocessor(const VmConfig *c)
{
        return c->vcpus == 1;
}

static bool is_emulated_smp(const VmConfig *c)
{
        return is_tcg(c) && !is_uniprocessor(c);
}

/* Above 3 GiB the kernel would set bounce buffers aside that no virtio-mmio device needs. */
static bool is_large(const VmConfig *c)
{
        return c->memory > UINT64_C(3) << 30;
}

static bool has_console(const VmConfig *c)
{
        return c->console;
}

static bool is_vsock(const VmConfig *c)
{
        return c->transport == VM_TRANSPORT_VSOCK;
}

static bool is_serial(const VmConfig *c)
{
        return c->transport == VM_TRANSPORT_SERIAL;
}

static bool has_agent_log_level(const VmConfig *c)
{
        return c->agent_log_level;
}

static bool has_debug(const VmConfig *c)
{
        return c->debug_image_path;
}

static bool has_no_debug(const VmConfig *c)
{
        return !has_debug(c);
}

/*
 * One device holds data and hash tree: the range of the image that begins with the root partition
 * (qemu-cmdline.c), so hash_offset counts from the start of the device. Corruption panics the guest:
 * an I/O error alone would let it go on with whatever it had read before.
 */
static char *verity_device(const char *name, const char *disk, const GuestParams *p)
{
        char *text;

        return asprintf(&text,
                        "%s,,,ro,0 %" PRIu64 " verity 1 %s %s %u %u "
                        "%" PRIu64 " %" PRIu64 " sha256 %s %s 1 panic_on_corruption",
                        name, p->data_blocks * (VERITY_BLOCK_SIZE / 512U), disk, disk, VERITY_BLOCK_SIZE,
                        VERITY_BLOCK_SIZE, p->data_blocks, p->hash_offset / VERITY_BLOCK_SIZE,
                        p->root_hash_hex, p->salt_hex) < 0 ? NULL : text;
}

/* Numbered in this order: dm-0 is the root, dm-1 the debug extension. */
static int add_verity(const VmConfig *c, Strv *words)
{
        _cleanup_free_ char *root = verity_device("vroot", "/dev/vda", &c->params), *debug = NULL;

        if (has_debug(c))
                debug = verity_device("vdebug", "/dev/vdb", &c->debug_params);
        if (!root || (has_debug(c) && !debug))
                return -ENOMEM;

        return strv_addf(words, "dm-mod.create=\"%s%s%s\"", root, debug ? ";" : "", strempty(debug));
}

static int add_debug(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.debug_console agent.debug_console_vport=%u "
                                "agent.debug_image=/dev/dm-1", AGENT_DEBUG_CONSOLE_PORT);
}

/* The supervisor listens on the port that has the number of the guest's CID. */
static int add_notify_vsock(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.notify=vsock:2:%" PRIu32, c->cid);
}

static int add_address_vsock(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.server_addr=vsock://-1:%u", AGENT_PORT);
}

static int add_notify_mux(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.notify=mux:%u", AGENT_NOTIFY_MUX_PORT);
}

static int add_ports(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.log_vport=%u agent.passfd_listener_port=%u", AGENT_LOG_PORT,
                         AGENT_PASSFD_PORT);
}

static int add_agent_log_level(const VmConfig *c, Strv *words)
{
        return strv_addf(words, "agent.log=%s", c->agent_log_level);
}

static int add_operator(const VmConfig *c, Strv *words)
{
        return isempty(c->kernel_parameters) ? 0 : strv_add(words, c->kernel_parameters);
}

static const CmdlineItem cmdline_items[] = {
        { NULL, "root=/dev/dm-0 ro rootfstype=erofs init=/usr/bin/kata-agent" },
        { NULL, NULL, add_verity },
        { has_no_debug, "dm-mod.waitfor=/dev/vda" },
        { has_debug, "dm-mod.waitfor=/dev/vda,/dev/vdb" },

        /* An end of any kind is a reset, which the VMM turns into its exit. */
        { NULL, "panic=-1 reboot=t" },
        { has_console, "console=hvc0 loglevel=4" },
        { NULL, "scsi_mod.scan=manual" },

        /*
         * An emulated CPU has neither kvmclock nor a TSC deadline timer: without these the kernel
         * spins through 100 ms of calibration and may later distrust a TSC that is in fact the
         * host's.
         */
        { is_tcg, "nolapic_timer no_timer_check tsc=reliable" },
        /*
         * Each further CPU would calibrate its delay loop for 0.4 s. The value is that of a TSC of
         * 4 GHz at HZ=100: no delay is shorter than asked for, and no device here needs one.
         */
        { is_emulated_smp, "lpj=40000000" },
        /* Do not patch lock prefixes out and, with a second CPU absent, never back in. */
        { is_uniprocessor, "noreplace-smp" },
        { is_large, "swiotlb=noforce" },

        { is_vsock, NULL, add_address_vsock },
        { is_serial, "agent.server_addr=serial://" AGENT_CHANNEL_NAME },
        { NULL, NULL, add_ports },
        { is_vsock, NULL, add_notify_vsock },
        { is_serial, NULL, add_notify_mux },
        { has_debug, NULL, add_debug },
        { has_agent_log_level, NULL, add_agent_log_level },
        { NULL, NULL, add_operator },
};

int kernel_cmdline_build(const VmConfig *config, char **ret, char **reterr_message)
{
        _cleanup_(strv_done) Strv words = {};
        _cleanup_free_ char *line = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(cmdline_items); i++) {
                const CmdlineItem *item = &cmdline_items[i];

                if (item->applies && !item->applies(config))
                        continue;
                r = item->text ? strv_add(&words, item->text) : item->add(config, &words);
                if (r < 0)
                        return r;
        }

        line = strv_join(&words, " ");
        if (!line)
                return -ENOMEM;

        /* The kernel cuts silently, and the verity table would be no table any more. */
        if (strlen(line) >= KERNEL_CMDLINE_MAX - VIRTIO_MMIO_CMDLINE_RESERVE)
                return error_setf(reterr_message, E2BIG,
                                "kernel command line has %zu bytes, at most %zu fit: shorten "
                                "the kernel parameters",
                                strlen(line),
                                (size_t) (KERNEL_CMDLINE_MAX - VIRTIO_MMIO_CMDLINE_RESERVE - 1));

        *ret = TAKE_PTR(line);
        return 0;
}

/* The kernel does not tell '-' from '_' in names of parameters (parameqn() in kernel/params.c). */
static bool name_matches(const char *name, const char *pattern)
{
        for (; *pattern; name++, pattern++) {
                if (*pattern == '*')
                        return true;
                if ((*name == '-' ? '_' : *name) != *pattern)
                        return false;
        }

        return *name == '\0';
}

static int check_word(const char *word, size_t n, char **reterr_message)
{
        static const char *const reserved[] = {
                "agent.*", "dm_mod.*", "root", "rootfstype", "rootflags", "rootwait", "rootdelay",
                "ro", "rw", "initrd", "noinitrd", "virtio_mmio.*", "__",
        };
        char name[64];
        size_t k = 0;

        /* `"root=x"` in quotes as a whole is root=x to the kernel; nobody needs that form. */
        if (word[0] == '"')
                return error_setf(reterr_message, EINVAL,
                                  "kernel parameters: a word can not begin with a quote");

        while (k < n && word[k] != '=')
                k++;
        if (k == 0 || k >= sizeof(name))
                return error_setf(reterr_message, EINVAL,
                                "kernel parameters: a name is empty or too long");
        if (memchr(word, '"', k))
                return error_setf(reterr_message, EINVAL,
                                "kernel parameters: a quote is part of a name");
        memcpy(name, word, k);
        name[k] = '\0';

        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (name_matches(name, reserved[i]))
                        return error_setf(reterr_message, EPERM,
                                          "kernel parameters: '%s' can not be set, it is made from "
                                          "the configuration of the sandbox",
                                          name);
        return 0;
}

int kernel_parameters_validate(const char *parameters, char **reterr_message)
{
        const char *p = strempty(parameters);

        if (strlen(p) > VM_KERNEL_PARAMETERS_MAX)
                return error_setf(reterr_message, E2BIG, "kernel parameters: more than %u bytes",
                                  VM_KERNEL_PARAMETERS_MAX);
        for (const char *c = p; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                        return error_setf(reterr_message, EINVAL,
                                          "kernel parameters: only printable ASCII is allowed");

        while (*(p += strspn(p, " "))) {
                bool quoted = false;
                size_t n = 0;
                int r;

                for (; p[n] && (quoted || p[n] != ' '); n++)
                        if (p[n] == '"')
                                quoted = !quoted;
                if (quoted)
                        return error_setf(reterr_message, EINVAL,
                                        "kernel parameters: a quote is not closed");

                r = check_word(p, n, reterr_message);
                if (r < 0)
                        return r;
                p += n;
        }

        return 0;
}
