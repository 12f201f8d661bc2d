/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime env: the configuration in effect, where it comes from, and what a sandbox would use of this host. */

#include <json-c/json.h>
#include <sys/utsname.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/guest-files.h"
#include "runtime/conf/conf-print.h"
#include "runtime/conf/conf-tables.h"
#include "runtime/unit/manager-version.h"
#include "runtime/vmm/host-caps.h"

const CliOption env_options[] = {
        { "json", 'j', NULL, CLI_ARG(json), "Print JSON" },
        {}
};

static json_object *text_or_null(const char *text)
{
        return text ? json_object_new_string(text) : NULL;
}

static void add_text(json_object *o, const char *name, const char *text)
{
        json_object_object_add(o, name, text_or_null(text));
}

/* The object "name" of o, made if it is not there. */
static json_object *section_of(json_object *o, const char *name)
{
        json_object *section = NULL;

        if (!json_object_object_get_ex(o, name, &section)) {
                section = json_object_new_object();
                json_object_object_add(o, name, section);
        }
        return section;
}

static json_object *program_section(void)
{
        json_object *o = json_object_new_object();

        add_text(o, "Version", PROJECT_VERSION);
        add_text(o, "ConfigurationDirectory", PKGSYSCONFDIR);
        add_text(o, "DataDirectory", DATADIR);
        add_text(o, "GuestDirectory", GUESTDIR);
        add_text(o, "InitrdDirectory", INITRDDIR);
        add_text(o, "RuntimeDirectory", RUNDIR);
        return o;
}

static int configuration_section(const NodeConf *node, json_object **ret)
{
        json_object *o = json_object_new_object(), *files = json_object_new_array();
        const char *file;

        STRV_FOREACH(file, &node->files)
                json_object_array_add(files, json_object_new_string(file));
        json_object_object_add(o, "Files", files);

        CONF_KEY_FOREACH(k, node_conf_table) {
                _cleanup_free_ char *text = NULL;
                int r = conf_key_format(k, node, &text);

                if (r < 0) {
                        json_object_put(o);
                        return r;
                }
                add_text(section_of(o, k->section), k->name, text);
        }
        *ret = o;
        return 0;
}

/* Problems are values here: kata-runtime check judges them. */
static json_object *host_section(const NodeConf *node)
{
        _cleanup_free_ char *version = NULL, *qemu = NULL, *virtiofsd = NULL, *bus_error = NULL,
                            *qemu_error = NULL, *virtiofsd_error = NULL;
        _cleanup_(host_caps_done) HostCaps caps = {};
        json_object *o = json_object_new_object();
        struct utsname uts;
        unsigned number;

        if (uname(&uts) >= 0) {
                add_text(o, "Kernel", uts.release);
                add_text(o, "Architecture", uts.machine);
        }
        if (manager_version(&version, &number, &bus_error) < 0)
                add_text(o, "SystemdProblem", bus_error);
        add_text(o, "Systemd", version);
        if (host_caps_probe(&host_paths_default, &caps) >= 0) {
                json_object_object_add(o, "KVM", json_object_new_boolean(host_caps_kvm(&caps)));
                if (caps.kvm_reason)
                        add_text(o, "KVMProblem", caps.kvm_reason);
                json_object_object_add(o, "VhostVsock", json_object_new_boolean(host_caps_vhost_vsock(&caps)));
                if (caps.vhost_vsock_reason)
                        add_text(o, "VhostVsockProblem", caps.vhost_vsock_reason);
        }
        if (node_conf_find_qemu(node, &qemu, &qemu_error) < 0)
                add_text(o, "QemuProblem", qemu_error);
        add_text(o, "Qemu", qemu);
        if (node_conf_find_virtiofsd(node, &virtiofsd, &virtiofsd_error) < 0)
                add_text(o, "VirtiofsdProblem", virtiofsd_error);
        add_text(o, "Virtiofsd", virtiofsd);
        return o;
}

static json_object *guest_section(NodeConf *node)
{
        _cleanup_(guest_files_done) GuestFiles files = {};
        json_object *o = json_object_new_object();
        char *message = NULL;
        int r;

        r = guest_files_find(node, &files, &message);
        if (r >= 0)
                r = guest_files_check(node, &files, &message);
        if (r < 0)
                add_text(o, "Problem", error_text(message, r));
        free(message);
        add_text(o, "Machine", files.config.machine == VM_MACHINE_Q35 ? "q35" : "microvm");
        add_text(o, "Directory", files.dir.path);
        add_text(o, "Kernel", files.config.kernel_path);
        add_text(o, "KernelRelease", files.dir.kernel_release);
        add_text(o, "Initrd", files.config.initrd_path);
        add_text(o, "Image", node->image);
        add_text(o, "Parameters", node->image_parameters);
        if (files.config.params.root_hash_hex[0])
                add_text(o, "RootHash", files.config.params.root_hash_hex);
        return o;
}

/* --- as text: "[Section]", "Key=value" --- */

static void print_value(const char *name, json_object *value)
{
        if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        print_value(name, json_object_array_get_idx(value, i));
                return;
        }
        if (json_object_is_type(value, json_type_boolean))
                printf("%s=%s\n", name, json_object_get_boolean(value) ? "yes" : "no");
        else
                printf("%s=%s\n", name, value ? json_object_get_string(value) : "");
}

static void print_section(const char *name, json_object *section)
{
        printf("[%s]\n", name);
        json_object_object_foreach(section, key, value)
                if (!json_object_is_type(value, json_type_object))
                        print_value(key, value);
        putchar('\n');
        json_object_object_foreach(section, key2, value2) {
                char full[64];

                if (!json_object_is_type(value2, json_type_object))
                        continue;
                snprintf(full, sizeof(full), "%s %s", name, key2);
                print_section(full, value2);
        }
}

int verb_env(const CliArgs *args)
{
        _cleanup_node_conf_ NodeConf *node = NULL;
        _cleanup_free_ char *message = NULL;
        json_object *o, *configuration;
        int r;

        r = node_conf_load(NULL, &node, &message);
        if (r >= 0)
                /* Before the guest's files are looked up, which completes it. */
                r = configuration_section(node, &configuration);
        if (r < 0) {
                log_error("%s", error_text(message, r));
                return EXIT_FAILURE;
        }

        o = json_object_new_object();
        json_object_object_add(o, "Runtime", program_section());
        json_object_object_add(o, "Configuration", configuration);
        json_object_object_add(o, "Host", host_section(node));
        json_object_object_add(o, "Guest", guest_section(node));
        if (args->json)
                puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
        else {
                json_object_object_foreach(o, name, section)
                        print_section(name, section);
        }
        json_object_put(o);
        return EXIT_SUCCESS;
}
