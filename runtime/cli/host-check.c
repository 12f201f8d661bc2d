/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of kata-runtime check: see host-check.h. */

#include "runtime/cli/host-check.h"

#include <fcntl.h>
#include <libkmod.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/cli/guest-files.h"
#include "runtime/unit/manager-version.h"
#include "runtime/vmm/host-caps.h"

#define SYSTEMD_MIN 252U

static const char *const level_names[_FINDING_LEVEL_MAX] = {
        [FINDING_OK] = "ok",
        [FINDING_WARNING] = "warning",
        [FINDING_FAILURE] = "failure",
};

const char *finding_level_to_string(FindingLevel level)
{
        return (unsigned) level < _FINDING_LEVEL_MAX ? level_names[level] : NULL;
}

void findings_done(Findings *f)
{
        for (size_t i = 0; i < f->n; i++) {
                free(f->v[i].text);
                free(f->v[i].advice);
        }
        *f = (Findings) {};
}

/* advice may be NULL. */
static _printf_(5, 6) int add(Findings *f, const char *name, FindingLevel level, const char *advice,
                              const char *format, ...)
{
        Finding *finding = &f->v[f->n];
        va_list ap;
        int r;

        assert(f->n < ELEMENTSOF(f->v));
        *finding = (Finding) { .name = name, .level = level };
        va_start(ap, format);
        r = vasprintf(&finding->text, format, ap);
        va_end(ap);
        if (r < 0) {
                finding->text = NULL;
                return -ENOMEM;
        }
        finding->advice = advice ? strdup(advice) : NULL;
        f->n++;
        return advice && !finding->advice ? -ENOMEM : 0;
}

/* --- the service manager and what belongs to it --- */

static int check_systemd(Findings *f)
{
        _cleanup_free_ char *version = NULL, *message = NULL;
        unsigned number;

        if (manager_version(&version, &number, &message) < 0)
                return add(f, "systemd", FINDING_FAILURE, "run this on a host that was booted with systemd, "
                           "with dbus installed", "%s", message);
        if (number < SYSTEMD_MIN)
                return add(f, "systemd", FINDING_FAILURE, "update the host to Debian 12 or newer",
                           "version %s is older than %u", version, SYSTEMD_MIN);
        return add(f, "systemd", FINDING_OK, NULL, "version %s", version);
}

bool controllers_have(const char *text, const char *controller)
{
        size_t n = strlen(controller);

        for (const char *p = text; *p; p += strcspn(p, " \n")) {
                p += strspn(p, " \n");
                if (strncmp(p, controller, n) == 0 && strchr(" \n", p[n]))
                        return true;
        }
        return false;
}

static char *missing_controllers(const char *root)
{
        static const char *const wanted[] = { "cpu", "io", "memory", "pids" };
        _cleanup_free_ char *path = NULL, *text = NULL;
        Strv missing = {};
        char *list;

        if (asprintf(&path, "%s/cgroup.controllers", root) < 0) {
                path = NULL;
                return NULL;
        }
        (void) read_file_at(AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (!controllers_have(strempty(text), wanted[i]) && strv_add(&missing, wanted[i]) < 0)
                        return strv_done(&missing), NULL;
        list = strv_join(&missing, " ");
        strv_done(&missing);
        return list;
}

static int check_cgroups(const CheckPlaces *places, Findings *f)
{
        const char *root = places->cgroup ? places->cgroup : "/sys/fs/cgroup";
        _cleanup_free_ char *missing = NULL;
        struct statfs s;

        if (!places->cgroup && (statfs(root, &s) < 0 || s.f_type != CGROUP2_SUPER_MAGIC))
                return add(f, "cgroups", FINDING_FAILURE, "boot with systemd.unified_cgroup_hierarchy=1",
                           "%s is not the unified hierarchy (cgroup v2)", root);
        missing = missing_controllers(root);
        if (!missing)
                return -ENOMEM;
        if (*missing)
                return add(f, "cgroups", FINDING_WARNING, "boot without cgroup_disable= and with no controller "
                           "mounted in a version 1 hierarchy", "version 2, but without %s: those limits have no "
                           "effect", missing);
        return add(f, "cgroups", FINDING_OK, NULL, "version 2 with cpu, io, memory and pids");
}

static int check_file(Findings *f, const char *name, const char *path, int mode, const char *what)
{
        if (access(path, mode) >= 0)
                return add(f, name, FINDING_OK, NULL, "%s", path);
        return add(f, name, FINDING_FAILURE, "install kata-systemd again", "%s %s: %s", what, path,
                   strerror(errno));
}

static int check_installation(const CheckPlaces *places, Findings *f)
{
        const char *socket = places->journal_socket ? places->journal_socket : "/run/systemd/journal/socket";
        int r;

        r = check_file(f, "unit", places->unit ? places->unit : SANDBOX_UNIT_FILE, R_OK, "the template unit");
        if (r >= 0)
                r = check_file(f, "supervisor", places->supervisor ? places->supervisor : SUPERVISOR_FILE, X_OK,
                               "the supervisor");
        if (r < 0)
                return r;
        if (access(socket, F_OK) < 0)
                return add(f, "journal", FINDING_FAILURE, "systemctl start systemd-journald",
                           "journald does not listen on %s: %s", socket, strerror(errno));
        return add(f, "journal", FINDING_OK, NULL, "journald listens on %s", socket);
}

/* --- configuration --- */

static int check_configuration(Findings *f, NodeConf **ret)
{
        _cleanup_free_ char *message = NULL, *files = NULL;
        int r = node_conf_load(NULL, ret, &message);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return add(f, "configuration", FINDING_FAILURE, "correct it, see kata.conf(5)", "%s",
                           error_text(message, r));
        files = strv_join(&(*ret)->files, ", ");
        if (!files)
                return -ENOMEM;
        return add(f, "configuration", FINDING_OK, NULL, "%s", *files ? files : "defaults, there is no file");
}

static int check_user(const NodeConf *node, Findings *f)
{
        if (!getpwnam(node->user))
                return add(f, "user", FINDING_FAILURE, "run systemd-sysusers, or set User= in kata.conf",
                           "there is no user '%s' that the VMM could run as", node->user);
        return add(f, "user", FINDING_OK, NULL, "the VMM runs as '%s'", node->user);
}

static int check_program(Findings *f, const char *name, int error, const char *path, const char *message)
{
        if (error == -ENOMEM)
                return error;
        if (error < 0)
                return add(f, name, FINDING_FAILURE, "install the package", "%s", error_text(message, error));
        return add(f, name, FINDING_OK, NULL, "%s", path);
}

static int check_programs(const NodeConf *node, Findings *f)
{
        _cleanup_free_ char *qemu = NULL, *virtiofsd = NULL, *message = NULL, *message2 = NULL;
        int r;

        r = node_conf_find_qemu(node, &qemu, &message);
        r = check_program(f, "qemu", r, qemu, message);
        if (r < 0)
                return r;
        r = node_conf_find_virtiofsd(node, &virtiofsd, &message2);
        return check_program(f, "virtiofsd", r, virtiofsd, message2);
}

/* --- devices --- */

/* Is there a module of that name for the running kernel, loaded or not? Built in counts as loaded. */
static bool module_is_available(const char *name)
{
        struct kmod_ctx *ctx = kmod_new(NULL, NULL);
        struct kmod_list *list = NULL;
        bool found;

        if (!ctx)
                return false;
        found = kmod_module_new_from_lookup(ctx, name, &list) >= 0 && list;
        kmod_module_unref_list(list);
        kmod_unref(ctx);
        return found;
}

static FindingLevel level_without(bool demanded)
{
        return demanded ? FINDING_FAILURE : FINDING_WARNING;
}

static int check_kvm(const NodeConf *node, const HostCaps *caps, Findings *f)
{
        const char *advice = "switch virtualization on in the firmware, or in the hypervisor that this host "
                             "runs under";

        if (host_caps_kvm(caps))
                return add(f, "kvm", FINDING_OK, NULL, "/dev/kvm runs unmodified kernels");
        if (geteuid() != 0)
                advice = "run this as root";
        else if (access("/sys/module/kvm", F_OK) < 0)
                advice = module_is_available("kvm") ? "modprobe kvm_intel or kvm_amd"
                                                    : "install a kernel that has KVM";
        return add(f, "kvm", level_without(node->accelerator == CONF_ACCELERATOR_KVM), advice,
                   "%s: sandboxes are emulated, and slow", caps->kvm_reason);
}

static int check_vsock(const NodeConf *node, const HostCaps *caps, Findings *f)
{
        const char *advice = "install a kernel that has vhost_vsock";

        if (host_caps_vhost_vsock(caps))
                return add(f, "vsock", FINDING_OK, NULL, "/dev/vhost-vsock works");
        if (geteuid() != 0)
                advice = "run this as root";
        else if (module_is_available("vhost_vsock"))
                advice = "modprobe vhost_vsock, and name it in a file of /etc/modules-load.d";
        return add(f, "vsock", level_without(node->transport == CONF_TRANSPORT_VSOCK), advice,
                   "%s: agents are reached over a serial port", caps->vhost_vsock_reason);
}

static int check_devices(const NodeConf *node, Findings *f)
{
        _cleanup_(host_caps_done) HostCaps caps = {};
        int r;

        r = host_caps_probe(&host_paths_default, &caps);
        if (r >= 0)
                r = check_kvm(node, &caps, f);
        return r < 0 ? r : check_vsock(node, &caps, f);
}

/* --- guest --- */

static int check_guest(NodeConf *node, Findings *f)
{
        _cleanup_(guest_files_done) GuestFiles files = { .dir = GUEST_DIR_NULL, .config = VM_CONFIG_INIT };
        _cleanup_free_ char *message = NULL;
        int r;

        r = guest_files_find(node, &files, &message);
        if (r >= 0)
                r = guest_files_check(node, &files, &message);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return add(f, "guest", FINDING_FAILURE, "kata-image verify says more; kata-image update or "
                           "'kata-image rollback' install a pair", "%s", error_text(message, r));

        r = add(f, "guest", FINDING_OK, NULL, "kernel %s (%s)", files.config.kernel_path,
                files.dir.kernel_release ? files.dir.kernel_release : "release not known");
        if (r < 0)
                return r;
        if (!node->image_certificate)
                return add(f, "image", FINDING_OK, NULL, "%s matches root hash %s; no signature is demanded",
                           node->image, files.config.params.root_hash_hex);
        return add(f, "image", FINDING_OK, NULL, "%s matches root hash %s, which is signed", node->image,
                   files.config.params.root_hash_hex);
}

int host_check(const CheckPlaces *places, Findings *ret)
{
        _cleanup_node_conf_ NodeConf *node = NULL;
        Findings f = {};
        int r;

        r = check_systemd(&f);
        if (r >= 0)
                r = check_cgroups(places, &f);
        if (r >= 0)
                r = check_installation(places, &f);
        if (r >= 0)
                r = check_configuration(&f, &node);
        /* The rest depends on it. */
        if (r >= 0 && node) {
                r = check_user(node, &f);
                if (r >= 0)
                        r = check_programs(node, &f);
                if (r >= 0)
                        r = check_devices(node, &f);
                if (r >= 0)
                        r = check_guest(node, &f);
        }
        if (r < 0) {
                findings_done(&f);
                return r;
        }
        *ret = f;
        return 0;
}
