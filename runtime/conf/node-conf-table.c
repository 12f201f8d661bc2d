/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the node configuration with its parser, range, default and description. Read-only
 * data; the shipped kata.conf is printed from it.
 */

#include <stdio.h>

#include "basic/limits.h"
#include "runtime/conf/conf-tables.h"
#include "runtime/conf/node-conf.h"

static const char *const vmm_words[] = {
        [CONF_VMM_QEMU] = "qemu",
        [_CONF_VMM_MAX] = NULL,
};

static const char *const kernel_words[] = { CONF_KERNEL_DISTRIBUTION, NULL };

const char *const conf_accelerator_words[] = {
        [CONF_ACCELERATOR_AUTO] = "auto",
        [CONF_ACCELERATOR_KVM] = "kvm",
        [CONF_ACCELERATOR_TCG] = "tcg",
        [_CONF_ACCELERATOR_MAX] = NULL,
};

const char *const conf_transport_words[] = {
        [CONF_TRANSPORT_AUTO] = "auto",
        [CONF_TRANSPORT_VSOCK] = "vsock",
        [CONF_TRANSPORT_SERIAL] = "serial",
        [_CONF_TRANSPORT_MAX] = NULL,
};

static const char *const log_level_words[] = {
        [CONF_LOG_LEVEL_INFO] = "info",
        [CONF_LOG_LEVEL_DEBUG] = "debug",
        [_CONF_LOG_LEVEL_MAX] = NULL,
};

const char *conf_vmm_to_string(ConfVmm v)
{
        return (unsigned) v < _CONF_VMM_MAX ? vmm_words[v] : NULL;
}

const char *conf_accelerator_to_string(ConfAccelerator v)
{
        return (unsigned) v < _CONF_ACCELERATOR_MAX ? conf_accelerator_words[v] : NULL;
}

const char *conf_transport_to_string(ConfTransport v)
{
        return (unsigned) v < _CONF_TRANSPORT_MAX ? conf_transport_words[v] : NULL;
}

const char *conf_log_level_to_string(ConfLogLevel v)
{
        return (unsigned) v < _CONF_LOG_LEVEL_MAX ? log_level_words[v] : NULL;
}

#define FIELD(f) .offset = offsetof(NodeConf, f)
#define RANGE_MEMORY .min = VM_MEMORY_MIN, .max = VM_MEMORY_MAX
#define RANGE_SPAN(a, b) .min = (a), .max = (b)
#define ACCEPTS_PATH "an absolute path without '..'"
#define ACCEPTS_SPAN "a time from 1s to 1h, like 30 or 1min 30s"

const ConfKey node_conf_table[] = {
        { "Image", "Directory", conf_parse_path, FIELD(guest_directory),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "Directory with the files of the guest: vmlinux, guest.img, guest.params.\n"
                         "Empty: " GUESTDIR "/current where kata-image(1) has\n"
                         "installed an update, else " DATADIR "." },
        { "Image", "Kernel", conf_parse_path_or_word, FIELD(kernel),
          .fallback = "", .accepts = "distribution, or " ACCEPTS_PATH,
          .words = kernel_words,
          .description = "Guest kernel: an ELF file with a PVH entry point; empty: vmlinux of the\n"
                         "directory; or distribution: the kernel that the distribution has\n"
                         "installed on this host, with the initrd made by kata-image initrd." },
        { "Image", "KernelRelease", conf_parse_kernel_release, FIELD(kernel_release),
          .fallback = "", .accepts = "a kernel release as uname -r tells it",
          .description = "With Kernel=distribution: which kernel; empty: the newest, of equal\n"
                         "ones that for clouds." },
        { "Image", "Image", conf_parse_path, FIELD(image),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "Guest root file system: a disk image with an erofs and a dm-verity\n"
                         "partition, as written by kata-image(1); empty: guest.img of the\n"
                         "directory." },
        { "Image", "Parameters", conf_parse_path, FIELD(image_parameters),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "Sizes and root hash of that image. A guest that finds another hash does\n"
                         "not start. Empty: guest.params of the directory." },
        { "Image", "Certificate", conf_parse_path, FIELD(image_certificate),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "PEM file with one or more certificates. If set, an image whose root hash\n"
                         "is not signed by one of them is refused." },
        { "Image", "Signature", conf_parse_path, FIELD(image_signature),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "Signature of the root hash; empty: the file beside the image whose name\n"
                         "ends in .roothash.p7s." },
        { "Image", "DebugImage", conf_parse_path, FIELD(debug_image),
          .fallback = DATADIR "/guest-debug.img", .accepts = ACCEPTS_PATH,
          .description = "Debug extension: tools for sandboxes with Debug=yes, as written by\n"
                         "kata-image(1)." },
        { "Image", "DebugParameters", conf_parse_path, FIELD(debug_parameters),
          .fallback = DATADIR "/guest-debug.params", .accepts = ACCEPTS_PATH,
          .description = "Sizes and root hash of the debug extension." },

        { "Machine", "VMM", conf_parse_word, FIELD(vmm),
          .fallback = "qemu", .accepts = "qemu", .words = vmm_words,
          .description = "Virtual machine monitor." },
        { "Machine", "QemuPath", conf_parse_path, FIELD(qemu_path),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "QEMU program; empty: searched where Debian installs it." },
        { "Machine", "VirtiofsdPath", conf_parse_path, FIELD(virtiofsd_path),
          .fallback = "", .accepts = ACCEPTS_PATH,
          .description = "virtiofsd program; empty: searched where Debian installs it." },
        { "Machine", "Accelerator", conf_parse_word, FIELD(accelerator),
          .fallback = "auto", .accepts = "auto, kvm or tcg", .words = conf_accelerator_words,
          .description = "auto takes KVM where /dev/kvm works, and emulation (tcg) elsewhere." },
        { "Machine", "Transport", conf_parse_word, FIELD(transport),
          .fallback = "auto", .accepts = "auto, vsock or serial", .words = conf_transport_words,
          .description = "Channel to the agent in the guest. auto takes vsock where\n"
                         "/dev/vhost-vsock works, and virtio-serial elsewhere." },
        { "Machine", "Memory", conf_parse_memory, FIELD(memory), RANGE_MEMORY,
          .fallback = "512M", .accepts = "whole mebibytes from 64M to 1T, like 512M or 2G",
          .description = "Memory of a sandbox that does not set its own." },
        { "Machine", "VCPUs", conf_parse_u32, FIELD(vcpus),
          .min = 1, .max = VM_VCPUS_MAX,
          .fallback = "1", .accepts = "a number from 1 to 32",
          .description = "Virtual CPUs of a sandbox that does not set its own." },
        { "Machine", "KernelParameters", conf_parse_string, FIELD(kernel_parameters),
          .max = VM_KERNEL_PARAMETERS_MAX,
          .fallback = "", .accepts = "at most 1280 printable ASCII characters",
          .description = "Appended to the command line of every guest kernel." },
        { "Machine", "KernelModules", conf_parse_kernel_modules, FIELD(kernel_modules),
          .max = VM_KERNEL_MODULES_MAX,
          .fallback = "", .accepts = ACCEPTS_KERNEL_MODULES,
          .description = "Modules that every guest kernel loads before a sandbox is set up." },
        { "Machine", "User", conf_parse_user_name, FIELD(user),
          .fallback = "kata", .accepts = "a user name",
          .description = "System user that the VMM runs as." },

        { "Agent", "BootTimeout", conf_parse_usec, FIELD(boot_timeout),
          RANGE_SPAN(USEC_PER_SEC, 3600 * USEC_PER_SEC),
          .fallback = "60s", .accepts = ACCEPTS_SPAN,
          .description = "Time from the start of the VMM to the first sign of life of the agent." },
        { "Agent", "RequestTimeout", conf_parse_usec, FIELD(request_timeout),
          RANGE_SPAN(USEC_PER_SEC, 3600 * USEC_PER_SEC),
          .fallback = "60s", .accepts = ACCEPTS_SPAN,
          .description = "Time for the agent to answer one request." },
        { "Agent", "HealthInterval", conf_parse_usec, FIELD(health_interval),
          RANGE_SPAN(USEC_PER_SEC, 3600 * USEC_PER_SEC),
          .fallback = "10s", .accepts = ACCEPTS_SPAN,
          .description = "Time between two checks of the agent's health." },
        { "Agent", "HealthTimeout", conf_parse_usec, FIELD(health_timeout),
          RANGE_SPAN(USEC_PER_SEC, 3600 * USEC_PER_SEC),
          .fallback = "30s", .accepts = ACCEPTS_SPAN,
          .description = "Time for the agent to answer such a check; later it counts as dead." },
        { "Agent", "LogLevel", conf_parse_word, FIELD(agent_log_level),
          .fallback = "info", .accepts = "info or debug", .words = log_level_words,
          .description = "How much the agent says." },

        { "Log", "RateLimitInterval", conf_parse_usec, FIELD(rate_limit_interval),
          RANGE_SPAN(0, 3600 * USEC_PER_SEC),
          .fallback = "30s", .accepts = "0 or a time up to 1h, like 30s",
          .description = "Each output stream of a container, and the guest beside its\n"
                         "containers, may log RateLimitBurst= lines in this time; the rest is\n"
                         "counted and the number is logged. 0 turns the limit off." },
        { "Log", "RateLimitBurst", conf_parse_u32, FIELD(rate_limit_burst),
          .min = 0, .max = UINT32_MAX,
          .fallback = "200000", .accepts = "a number from 0 to 4294967295",
          .description = "See RateLimitInterval=. 0 turns the limit off." },

        { "Stop", "Timeout", conf_parse_usec, FIELD(stop_timeout),
          RANGE_SPAN(0, 3600 * USEC_PER_SEC),
          .fallback = "10s", .accepts = "a time from 0 to 1h, like 10s",
          .description = "Time from the stop signal of a container to SIGKILL." },
        {},
};

static void print_comment(FILE *f, const char *text)
{
        fputs("# ", f);
        for (const char *p = text; *p; p++) {
                fputc(*p, f);
                if (*p == '\n')
                        fputs("# ", f);
        }
        fputc('\n', f);
}

int node_conf_print_defaults(FILE *f)
{
        const char *section = "";

        fputs("# SPDX-License-Identifier: Apache-2.0\n"
              "# Defaults of this version; the file is replaced by updates. Write what should\n"
              "# differ to " PKGSYSCONFDIR "/kata.conf or to a file in " PKGSYSCONFDIR
              "/kata.conf.d/.\n"
              "# See kata.conf(5).\n",
              f);

        CONF_KEY_FOREACH(k, node_conf_table) {
                if (!streq(section, k->section)) {
                        section = k->section;
                        fprintf(f, "\n[%s]\n", section);
                } else
                        fputc('\n', f);
                print_comment(f, k->description);
                fprintf(f, "#%s=%s\n", k->name, k->fallback);
        }

        return ferror(f) ? -EIO : 0;
}
