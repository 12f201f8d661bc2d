/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From configuration to a plan: everything is read, checked and decided here, before a process or a unit
 * exists. All errors of the operator's making surface here, each naming the file or setting to change.
 */

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/policy.h"
#include "runtime/oci/spec-default.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/oci/spec-load.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "runtime/store/share.h"
#include "runtime/unit/unit-name.h"
#include "runtime/vmm/distribution.h"
#include "runtime/vmm/host-caps.h"
#include "runtime/vmm/vsock-cid.h"

int sandbox_load_node_conf(Sandbox *s, char **reterr_message)
{
        return node_conf_load(NULL, &s->node, reterr_message);
}

/* --- machine --- */

static int plan_accelerator(Sandbox *s, const HostCaps *caps, char **reterr_message)
{
        switch (s->conf->accelerator) {
        case CONF_ACCELERATOR_KVM:
                if (!host_caps_kvm(caps))
                        return error_setf(reterr_message, EOPNOTSUPP,
                                          "Accelerator=kvm is set, but KVM can not be used: %s",
                                          caps->kvm_reason);
                s->accel = VM_ACCEL_KVM;
                break;
        case CONF_ACCELERATOR_TCG:
                s->accel = VM_ACCEL_TCG;
                break;
        default:
                s->accel = host_caps_kvm(caps) ? VM_ACCEL_KVM : VM_ACCEL_TCG;
                if (s->accel == VM_ACCEL_TCG)
                        log_notice("Sandbox '%s' is emulated, KVM can not be used: %s", s->id,
                                   caps->kvm_reason);
                break;
        }

        return 0;
}

static int plan_transport(Sandbox *s, const HostCaps *caps, char **reterr_message)
{
        bool vsock = host_caps_vhost_vsock(caps);

        switch (s->conf->transport) {
        case CONF_TRANSPORT_VSOCK:
                if (!vsock)
                        return error_setf(reterr_message, EOPNOTSUPP,
                                          "Transport=vsock is set, but vhost-vsock can not be used: %s",
                                          caps->vhost_vsock_reason);
                break;
        case CONF_TRANSPORT_SERIAL:
                vsock = false;
                break;
        default:
                if (!vsock)
                        log_info("Sandbox '%s' uses the serial transport, vhost-vsock can not be used: %s",
                                 s->id, caps->vhost_vsock_reason);
                break;
        }

        s->transport_kind = vsock ? VM_TRANSPORT_VSOCK : VM_TRANSPORT_SERIAL;
        if (!vsock)
                return 0;

        return vsock_cid_claim(&vsock_ops_default, host_paths_default.vhost_vsock, s->id, 0,
                               &s->config.vhost_fd, &s->config.cid, reterr_message);
}

static int plan_user(Sandbox *s, const HostCaps *caps, char **reterr_message)
{
        const struct passwd *pw = getpwnam(s->node->user);

        if (!pw)
                return error_setf(reterr_message, ESRCH,
                                  "user '%s' that the VMM runs as does not exist: run systemd-sysusers, "
                                  "or set User= in kata.conf", s->node->user);

        s->config.uid = pw->pw_uid;
        s->config.gid = pw->pw_gid;
        if (s->accel == VM_ACCEL_KVM && caps->kvm_gid != 0)
                s->config.groups[s->config.n_groups++] = caps->kvm_gid;
        return 0;
}

static int set_string(char **target, const char *value)
{
        free(*target);
        *target = strdup(value);
        return *target ? 0 : -ENOMEM;
}

/* The kernel decides about the machine: one of a distribution needs PCI and an initrd with its modules. */
static int plan_kernel(Sandbox *s, char **reterr_message)
{
        _cleanup_(distribution_kernel_done) DistributionKernel d = {};
        int r;

        if (!streq(s->node->kernel, CONF_KERNEL_DISTRIBUTION)) {
                if (s->node->kernel_release)
                        return error_setf(reterr_message, EINVAL,
                                          "KernelRelease= of kata.conf needs Kernel=distribution");
                s->config.machine = VM_MACHINE_MICROVM;
                return set_string(&s->config.kernel_path, s->node->kernel);
        }

        r = distribution_kernel_find(NULL, INITRDDIR, s->node->kernel_release, &d, reterr_message);
        if (r < 0)
                return r;

        log_info("Sandbox '%s' boots kernel %s of the distribution", s->id, d.kernel.release);
        s->config.machine = VM_MACHINE_Q35;
        r = set_string(&s->guest.kernel_release, d.kernel.release);
        if (r >= 0)
                r = set_string(&s->config.kernel_path, d.kernel.image);
        return r < 0 ? r : set_string(&s->config.initrd_path, d.initrd);
}

/* Returns an exit status, as sandbox_plan(). */
static int plan_machine(Sandbox *s, char **reterr_message)
{
        _cleanup_(host_caps_done) HostCaps caps = {};
        int r;

        r = host_caps_probe(&host_paths_default, &caps);
        if (r < 0)
                return EX_OSERR;

        r = node_conf_find_qemu(s->node, &s->config.vmm_path, reterr_message);
        if (r >= 0)
                r = node_conf_find_virtiofsd(s->node, &s->virtiofsd_path, reterr_message);
        if (r >= 0)
                r = plan_accelerator(s, &caps, reterr_message);
        if (r >= 0)
                r = plan_transport(s, &caps, reterr_message);
        if (r >= 0)
                r = plan_user(s, &caps, reterr_message);
        if (r < 0)
                return EX_UNAVAILABLE;

        s->config.accel = s->accel;
        s->config.transport = s->transport_kind;
        s->config.memory = s->conf->memory;
        s->config.vcpus = s->conf->vcpus;
        s->config.console = true;

        r = set_string(&s->config.id, s->id);
        if (r >= 0)
                r = set_string(&s->config.run_dir, s->run_dir);
        if (r >= 0)
                r = set_string(&s->config.share_tag, AGENT_SHARE_TAG);
        if (r >= 0)
                r = set_string(&s->config.agent_log_level, conf_log_level_to_string(s->node->agent_log_level));
        if (r >= 0)
                r = set_string(&s->config.kernel_parameters, s->conf->kernel_parameters);
        if (r < 0)
                return EX_OSERR;

        /* From here on the node's [Image] names the files of this sandbox. */
        r = guest_dir_open(NULL, s->node, s->conf->guest_directory, s->run_dir, &s->guest,
                           reterr_message);
        if (r < 0)
                return EX_CONFIG;
        r = plan_kernel(s, reterr_message);
        if (r < 0)
                return EX_CONFIG;
        r = set_string(&s->config.image_path, s->node->image);
        if (r < 0)
                return EX_OSERR;

        r = guest_params_load(s->node->image_parameters, &s->config.params, reterr_message);
        if (r >= 0 && s->node->image_certificate)
                r = guest_params_verify_signature(&s->config.params, s->node->image,
                                                  s->node->image_signature,
                                                  s->node->image_certificate, reterr_message);
        if (r >= 0)
                r = vm_config_open(&s->config, s->node->image_parameters, reterr_message);
        if (r < 0)
                r = EX_CONFIG;
        else
                r = s->conf->debug ? sandbox_plan_debug(s, reterr_message) : 0;
        /* All of its files are open. */
        guest_dir_unlock(&s->guest);
        return r;
}

/* --- containers --- */

static int load_spec(Sandbox *s, const ContainerConf *conf, OciSpec **ret, char **reterr_message)
{
        const OciDefaults defaults = {
                .root_directory = conf->root_directory,
                .command = &conf->command,
                .environment = &conf->environment,
                .working_directory = conf->working_directory,
                .hostname = s->conf->hostname,
                .uid = conf->uid,
                .gid = conf->gid,
                .read_only = conf->read_only,
                .memory = conf->memory,
        };

        if (conf->bundle)
                return oci_spec_load(conf->bundle, ret, reterr_message);
        return oci_spec_new_default(&defaults, ret);
}

static int plan_container(Sandbox *s, const ContainerConf *conf, char **reterr_message)
{
        _cleanup_oci_shares_ OciShares shares = {};
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        SandboxContainer *c;
        int r;

        r = load_spec(s, conf, &spec, reterr_message);
        if (r >= 0 && spec->spec->process->terminal)
                r = error_setf(reterr_message, -EOPNOTSUPP,
                               "process.terminal: a sandbox that is started as a unit has no terminal; "
                               "set it to false");
        if (r >= 0)
                r = oci_spec_to_guest(spec, conf->name, &shares, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < spec->notes.n; i++)
                log_notice("Container '%s': %s", conf->name, spec->notes.v[i]);

        for (size_t i = 0; i < shares.n; i++) {
                const ShareEntry *e = &shares.v[i];

                r = share_add(s->share_dir, e->name, e->source,
                              (e->read_only ? SHARE_READ_ONLY : 0) | (e->recursive ? SHARE_RECURSIVE : 0),
                              reterr_message);
                if (r < 0)
                        return r;
        }

        r = sandbox_add_container(s, conf->name, conf->stop_signal, &c);
        if (r >= 0)
                c->spec = TAKE_PTR(spec);
        return r;
}

static int plan_containers(Sandbox *s, char **reterr_message)
{
        int r;

        r = share_open(s->share_dir, s->by_caller, reterr_message);
        if (r < 0)
                return EX_OSERR;

        for (size_t i = 0; i < s->conf->n_containers; i++) {
                const ContainerConf *conf = &s->conf->containers[i];

                r = plan_container(s, conf, reterr_message);
                if (r < 0) {
                        (void) error_prefixf(reterr_message, r, "%s:%u: container '%s'", s->conf->path,
                                             conf->line, conf->name);
                        return EX_CONFIG;
                }
        }

        r = share_seal(s->share_dir, reterr_message);
        return r < 0 ? EX_OSERR : 0;
}

/* What the agent would refuse is found before a machine is booted. */
static int plan_policy(Sandbox *s, char **reterr_message)
{
        _cleanup_(policy_freep) Policy *policy = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        if (!s->conf->policy)
                return 0;

        r = read_file_at(AT_FDCWD, s->conf->policy, POLICY_SIZE_MAX, &text, &n);
        if (r == -EFBIG)
                (void) error_setf(reterr_message, r, "a policy has at most %zu KiB", POLICY_SIZE_MAX / 1024);
        else if (r >= 0)
                r = policy_parse(text, n, &policy, reterr_message);
        if (r < 0) {
                (void) error_prefixf(reterr_message, r, "%s", s->conf->policy);
                return EX_CONFIG;
        }

        s->policy = TAKE_PTR(text);
        return 0;
}

int sandbox_plan(Sandbox *s, char **reterr_message)
{
        int r;

        r = sandbox_conf_load(NULL, s->id, s->node, &s->conf, reterr_message);
        if (r < 0)
                return EX_CONFIG;
        s->stop_timeout = s->conf->stop_timeout;
        s->by_caller = s->conf->by_caller;
        s->scope_name = mfree(s->scope_name);
        r = s->conf->scope ? set_string(&s->scope_name, s->conf->scope) : unit_name_scope(s->id, &s->scope_name);
        if (r < 0)
                return EX_OSERR;

        r = plan_policy(s, reterr_message);
        if (r == 0)
                r = plan_machine(s, reterr_message);
        if (r == 0)
                r = sandbox_plan_limits(s, reterr_message);
        if (r == 0)
                r = sandbox_plan_network(s, reterr_message);
        if (r == 0)
                r = plan_containers(s, reterr_message);
        return r;
}
