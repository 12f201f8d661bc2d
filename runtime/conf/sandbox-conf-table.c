/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of a sandbox definition. Read-only data. */

#include "basic/limits.h"
#include "runtime/conf/conf-tables.h"
#include "runtime/conf/sandbox-conf.h"

#define ACCEPTS_PATH "an absolute path without '..'"
#define ACCEPTS_MEMORY "whole mebibytes from 64M to 1T, like 512M or 2G"

#define ACCEPTS_LIST "numbers below 8192, like 0-3,7"

static const char *const memory_max_words[] = { "machine", NULL };
static const char *const slice_suffix[] = { ".slice", NULL };
static const char *const scope_suffix[] = { ".scope", NULL };

static const char *const network_words[] = { CONF_NETWORK_NEW, NULL };

/* No defaults: the structure starts with the node's values. */
#define FIELD(f) .offset = offsetof(SandboxConf, f), .fallback = ""

const ConfKey sandbox_conf_table[] = {
        { "Sandbox", "Memory", conf_parse_memory, FIELD(memory),
          .min = VM_MEMORY_MIN, .max = VM_MEMORY_MAX, .accepts = ACCEPTS_MEMORY,
          .description = "Memory of the virtual machine." },
        { "Sandbox", "VCPUs", conf_parse_u32, FIELD(vcpus),
          .min = 1, .max = VM_VCPUS_MAX, .accepts = "a number from 1 to 32",
          .description = "Virtual CPUs." },
        { "Sandbox", "Hostname", conf_parse_hostname, FIELD(hostname),
          .accepts = "a host name of at most 64 letters, digits, '-' and '.'",
          .description = "Host name in the guest and in its containers." },
        { "Sandbox", "KernelParameters", conf_parse_string, FIELD(kernel_parameters),
          .max = VM_KERNEL_PARAMETERS_MAX, .accepts = "at most 1280 printable ASCII characters",
          .description = "Added to the guest kernel's command line after those of the node." },
        { "Sandbox", "KernelModules", conf_parse_kernel_modules, FIELD(kernel_modules),
          .max = VM_KERNEL_MODULES_MAX, .accepts = ACCEPTS_KERNEL_MODULES,
          .description = "Modules that the guest kernel loads, besides those of the node." },
        { "Sandbox", "StopTimeout", conf_parse_usec, FIELD(stop_timeout),
          .min = 0, .max = 3600 * USEC_PER_SEC, .accepts = "a time from 0 to 1h, like 10s",
          .description = "Time from the stop signal of a container to SIGKILL." },
        { "Sandbox", "Accelerator", conf_parse_word, FIELD(accelerator),
          .accepts = "auto, kvm or tcg", .words = conf_accelerator_words,
          .description = "Overrides the node's." },
        { "Sandbox", "Transport", conf_parse_word, FIELD(transport),
          .accepts = "auto, vsock or serial", .words = conf_transport_words,
          .description = "Overrides the node's." },
        { "Sandbox", "GuestDirectory", conf_parse_path, FIELD(guest_directory),
          .accepts = ACCEPTS_PATH,
          .description = "Directory of kernel and image; overrides all of the node's [Image]." },
        { "Sandbox", "Slice", conf_parse_unit, FIELD(slice),
          .accepts = "the name of a unit that ends in .slice", .words = slice_suffix,
          .description = "Slice that the scope of the virtual machine is in." },
        { "Sandbox", "Scope", conf_parse_unit, FIELD(scope),
          .accepts = "the name of a unit that ends in .scope", .words = scope_suffix,
          .description = "Name of the scope of the virtual machine." },
        { "Sandbox", "CPUWeight", conf_parse_u32, FIELD(cpu_weight),
          .min = 1, .max = 10000, .accepts = "a number from 1 to 10000",
          .description = "Share of the host's processors when they are scarce." },
        { "Sandbox", "CPUQuota", conf_parse_percent, FIELD(cpu_quota),
          .min = 10, .max = 100000, .accepts = "a percentage from 10% to 100000%, like 150%",
          .description = "Processor time of the virtual machine, of one processor, once its guest has booted." },
        { "Sandbox", "CPUQuotaPeriodSec", conf_parse_usec, FIELD(cpu_quota_period),
          .min = USEC_PER_MSEC, .max = USEC_PER_SEC, .accepts = "a time from 1ms to 1s",
          .description = "Time in which CPUQuota= is measured." },
        { "Sandbox", "AllowedCPUs", conf_parse_cpu_list, FIELD(allowed_cpus),
          .accepts = ACCEPTS_LIST, .description = "Processors of the host that the virtual machine runs on." },
        { "Sandbox", "AllowedMemoryNodes", conf_parse_cpu_list, FIELD(allowed_memory_nodes),
          .accepts = ACCEPTS_LIST, .description = "Memory nodes of the host that the virtual machine uses." },
        { "Sandbox", "IOWeight", conf_parse_u32, FIELD(io_weight),
          .min = 1, .max = 10000, .accepts = "a number from 1 to 10000",
          .description = "Share of disk traffic when it is scarce." },
        { "Sandbox", "MemoryMax", conf_parse_memory_or_word, FIELD(memory_max),
          .min = VM_MEMORY_MIN, .max = VM_MEMORY_MAX, .words = memory_max_words,
          .accepts = "machine, or whole mebibytes from 64M to 1T, like 2G",
          .description = "Limit of what virtual machine monitor and virtiofsd take." },
        { "Sandbox", "TasksMax", conf_parse_u32, FIELD(tasks_max),
          .min = VMM_TASKS_MIN, .max = 4194304, .accepts = "a number from 256 to 4194304",
          .description = "Limit of processes and threads of the host." },
        { "Sandbox", "NetworkNamespace", conf_parse_path_or_word, FIELD(network_namespace),
          .accepts = ACCEPTS_PATH ", or " CONF_NETWORK_NEW, .words = network_words,
          .description = "File of a network namespace, like /run/netns/NAME, whose interfaces the guest gets." },
        { "Sandbox", "Policy", conf_parse_path, FIELD(policy),
          .accepts = ACCEPTS_PATH,
          .description = "What the agent in the guest is allowed to be asked, see kata-policy(5)." },
        { "Sandbox", "Debug", conf_parse_bool, FIELD(debug),
          .accepts = "yes or no",
          .description = "Attaches the debug extension and offers a shell in the guest." },
        {},
};

#undef FIELD
#define FIELD(f) .offset = offsetof(ContainerConf, f), .fallback = ""

const ConfKey container_conf_table[] = {
        { "Container", "Bundle", conf_parse_path, FIELD(bundle),
          .accepts = ACCEPTS_PATH, .description = "OCI bundle: a directory with config.json." },
        { "Container", "RootDirectory", conf_parse_path, FIELD(root_directory),
          .accepts = ACCEPTS_PATH, .description = "Directory of the host that becomes the root file system." },
        { "Container", "Command", conf_parse_words, FIELD(command),
          .accepts = "a command line, quoted as for a shell",
          .description = "Program and arguments." },
        { "Container", "Environment", conf_parse_environment, FIELD(environment),
          .accepts = "words of the form NAME=VALUE, quoted as for a shell", .multiple = true,
          .description = "Variables." },
        { "Container", "WorkingDirectory", conf_parse_path, FIELD(working_directory),
          .accepts = ACCEPTS_PATH, .description = "Directory in the container to start in." },
        { "Container", "User", conf_parse_user_ids, FIELD(uid),
          .accepts = "UID or UID:GID in numbers up to 4294967294", .description = "User and group to run as." },
        { "Container", "ReadOnly", conf_parse_bool, FIELD(read_only),
          .accepts = "yes or no", .description = "Root file system can not be written." },
        { "Container", "Memory", conf_parse_memory, FIELD(memory),
          .min = MIB(1), .max = VM_MEMORY_MAX,
          .accepts = "whole mebibytes from 1M to 1T, like 64M", .description = "Memory limit in the guest." },
        { "Container", "StopSignal", conf_parse_signal, FIELD(stop_signal),
          .accepts = "a signal, like TERM, SIGINT or 15", .description = "Signal that asks it to stop." },
        {},
};
