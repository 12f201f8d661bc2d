/* SPDX-License-Identifier: Apache-2.0 */
/* Description of a machine: see vm-config.h. Host side; input comes from the operator. */

#include "runtime/vmm/vm-config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "runtime/vmm/cmdline.h"

static const char *const vm_accel_table[_VM_ACCEL_MAX] = {
        [VM_ACCEL_KVM] = "kvm",
        [VM_ACCEL_TCG] = "tcg",
};

static const char *const vm_transport_table[_VM_TRANSPORT_MAX] = {
        [VM_TRANSPORT_VSOCK] = "vsock",
        [VM_TRANSPORT_SERIAL] = "serial",
};

static int table_lookup(const char *const *table, size_t n, const char *s)
{
        for (size_t i = 0; s && i < n; i++)
                if (streq(table[i], s))
                        return (int) i;

        return -EINVAL;
}

const char *vm_accel_to_string(VmAccel accel)
{
        return accel >= 0 && accel < _VM_ACCEL_MAX ? vm_accel_table[accel] : NULL;
}

VmAccel vm_accel_from_string(const char *s)
{
        return (VmAccel) table_lookup(vm_accel_table, _VM_ACCEL_MAX, s);
}

const char *vm_transport_to_string(VmTransport transport)
{
        return transport >= 0 && transport < _VM_TRANSPORT_MAX ? vm_transport_table[transport]
                                                               : NULL;
}

VmTransport vm_transport_from_string(const char *s)
{
        return (VmTransport) table_lookup(vm_transport_table, _VM_TRANSPORT_MAX, s);
}

void vm_config_close_fds(VmConfig *config)
{
        config->kernel_fd = safe_close(config->kernel_fd);
        config->initrd_fd = safe_close(config->initrd_fd);
        config->image_fd = safe_close(config->image_fd);
        config->debug_image_fd = safe_close(config->debug_image_fd);
        config->vhost_fd = safe_close(config->vhost_fd);
        config->share_fd = safe_close(config->share_fd);
        config->netns_fd = safe_close(config->netns_fd);
        for (size_t i = 0; i < config->n_nics; i++) {
                config->nics[i].tap_fd = safe_close(config->nics[i].tap_fd);
                config->nics[i].vhost_fd = safe_close(config->nics[i].vhost_fd);
        }
}

void vm_config_done(VmConfig *config)
{
        vm_config_close_fds(config);
        free(config->id);
        free(config->vmm_path);
        free(config->run_dir);
        free(config->kernel_path);
        free(config->initrd_path);
        free(config->image_path);
        free(config->debug_image_path);
        free(config->share_tag);
        free(config->agent_log_level);
        free(config->kernel_parameters);
        guest_params_done(&config->params);
        guest_params_done(&config->debug_params);
        *config = VM_CONFIG_INIT;
}

static int open_regular(const char *what, const char *path, int *ret, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        /* O_NONBLOCK: a FIFO in the place of the file must not hang us. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return error_setf(reterr_message, errno, "%s %s can not be opened: %s", what, path,
                                  strerror(errno));
        if (fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "%s %s: %s", what, path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return error_setf(
                                reterr_message, EINVAL, "%s %s is not a regular file", what, path);
        if (st.st_size == 0)
                return error_setf(reterr_message, ENODATA, "%s %s is empty", what, path);

        *ret = TAKE_FD(fd);
        return 0;
}

/* The form that a machine boots, by its magic. What else may be wrong, the VMM tells. */
static int check_kernel(VmMachine machine, const char *path, int fd, char **reterr_message)
{
        static const struct {
                off_t offset;
                char magic[5];
                const char *what;
        } forms[_VM_MACHINE_MAX] = {
                [VM_MACHINE_MICROVM] = { 0, "\177ELF", "an uncompressed ELF kernel (vmlinux)" },
                /* Documentation/arch/x86/boot.rst */
                [VM_MACHINE_Q35] = { 0x202, "HdrS", "a compressed x86 kernel (bzImage, vmlinuz)" },
        };
        char magic[4];

        if (pread(fd, magic, sizeof(magic), forms[machine].offset) == (ssize_t) sizeof(magic) &&
            memcmp(magic, forms[machine].magic, sizeof(magic)) == 0)
                return 0;

        return error_setf(reterr_message, ENOEXEC, "guest kernel '%s' is not %s", path,
                          forms[machine].what);
}

/* These two the VMM opens again, as its own user: QEMU takes only names for them. */
static int check_readable(const char *what, const char *path, int fd, char **reterr_message)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "%s %s: %s", what, path, strerror(errno));
        if (!(st.st_mode & S_IROTH))
                return error_setf(reterr_message, EACCES,
                                  "%s %s can not be read by the VMM, which is another user: chmod o+r %s",
                                  what, path, path);
        return 0;
}

int vm_config_open(VmConfig *config, const char *params_path, char **reterr_message)
{
        _cleanup_close_ int kernel = -EBADF, initrd = -EBADF, image = -EBADF;
        int r;

        r = open_regular("guest kernel", config->kernel_path, &kernel, reterr_message);
        if (r < 0)
                return r;

        r = check_kernel(config->machine, config->kernel_path, kernel, reterr_message);
        if (r >= 0)
                r = check_readable("guest kernel", config->kernel_path, kernel, reterr_message);
        if (r < 0)
                return r;

        if (config->initrd_path) {
                r = open_regular("initrd", config->initrd_path, &initrd, reterr_message);
                if (r >= 0)
                        r = check_readable("initrd", config->initrd_path, initrd, reterr_message);
                if (r < 0)
                        return r;
        }

        r = open_regular("guest image", config->image_path, &image, reterr_message);
        if (r < 0)
                return r;

        r = guest_params_verify_image(&config->params, image, config->image_path, params_path,
                                      reterr_message);
        if (r < 0)
                return r;

        safe_close(config->kernel_fd);
        safe_close(config->initrd_fd);
        safe_close(config->image_fd);
        config->kernel_fd = TAKE_FD(kernel);
        config->initrd_fd = TAKE_FD(initrd);
        config->image_fd = TAKE_FD(image);
        return 0;
}

int vm_config_open_debug(VmConfig *config, const char *params_path, char **reterr_message)
{
        _cleanup_close_ int image = -EBADF;
        int r;

        r = open_regular("debug image", config->debug_image_path, &image, reterr_message);
        if (r >= 0)
                r = guest_params_verify_image(&config->debug_params, image, config->debug_image_path,
                                              params_path, reterr_message);
        if (r < 0)
                return r;

        safe_close(config->debug_image_fd);
        config->debug_image_fd = TAKE_FD(image);
        return 0;
}

static int validate_path(const char *what, const char *path, char **reterr_message)
{
        if (isempty(path))
                return error_setf(reterr_message, EINVAL, "%s is not set", what);
        if (path[0] != '/')
                return error_setf(reterr_message, EINVAL, "%s '%s' is not an absolute path", what,
                                path);
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        return error_setf(reterr_message, EINVAL,
                                        "%s has a control character in it", what);
        return 0;
}

static int validate_paths(const VmConfig *c, char **reterr_message)
{
        const struct {
                const char *what, *path;
        } paths[] = {
                { "path of the VMM", c->vmm_path },
                { "run-time directory", c->run_dir },
                { "path of the guest kernel", c->kernel_path },
                { "path of the guest image", c->image_path },
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                int r = validate_path(paths[i].what, paths[i].path, reterr_message);

                if (r < 0)
                        return r;
        }

        if (c->kernel_fd < 0)
                return error_setf(reterr_message, EBADF, "guest kernel %s is not open",
                                c->kernel_path);
        if (c->image_fd < 0)
                return error_setf(
                                reterr_message, EBADF, "guest image %s is not open", c->image_path);
        if (!c->initrd_path != (c->initrd_fd < 0))
                return error_setf(reterr_message, EBADF, "initrd %s is not open",
                                  strempty(c->initrd_path));
        /* One goes with the other: who has an initrd has modules, and those want PCI. */
        if ((c->machine == VM_MACHINE_Q35) != (c->initrd_fd >= 0))
                return error_setf(reterr_message, EINVAL,
                                  "machine q35 boots with an initrd, microvm without one");
        if (c->params.data_blocks == 0)
                return error_setf(reterr_message, EINVAL, "guest image %s has no verity parameters",
                                  c->image_path);
        return 0;
}

static int validate_debug(const VmConfig *c, char **reterr_message)
{
        if (!c->debug_image_path) {
                if (c->debug_image_fd >= 0)
                        return error_setf(reterr_message, EINVAL, "debug image without a path");
                return 0;
        }

        if (c->debug_image_fd < 0)
                return error_setf(reterr_message, EBADF, "debug image %s is not open",
                                  c->debug_image_path);
        if (c->debug_params.data_blocks == 0)
                return error_setf(reterr_message, EINVAL, "debug image %s has no verity parameters",
                                  c->debug_image_path);
        return validate_path("path of the debug image", c->debug_image_path, reterr_message);
}

static int validate_size(const VmConfig *c, char **reterr_message)
{
        if (c->memory < VM_MEMORY_MIN || c->memory > VM_MEMORY_MAX)
                return error_setf(reterr_message, ERANGE,
                                  "memory of the machine must be between %zu MiB and %" PRIu64
                                  " MiB, not %" PRIu64 " bytes",
                                  VM_MEMORY_MIN >> 20, VM_MEMORY_MAX >> 20, c->memory);
        if (c->initrd_path && c->memory < VM_MEMORY_MIN_INITRD)
                return error_setf(reterr_message, ERANGE,
                                  "a kernel of the distribution needs %zu MiB of memory, not %" PRIu64
                                  " bytes", VM_MEMORY_MIN_INITRD >> 20, c->memory);
        if (c->memory % MIB(1) != 0)
                return error_setf(reterr_message, EINVAL,
                                  "memory of the machine must be whole MiB, not %" PRIu64 " bytes",
                                  c->memory);
        if (c->vcpus < 1 || c->vcpus > VM_VCPUS_MAX)
                return error_setf(reterr_message, ERANGE,
                                  "number of virtual CPUs must be between 1 and %u, not %u",
                                  VM_VCPUS_MAX, c->vcpus);
        return 0;
}

static int validate_transport(const VmConfig *c, char **reterr_message)
{
        switch (c->transport) {

        case VM_TRANSPORT_VSOCK:
                /* 0 to 2 are the hypervisor, loopback and the host; the last one is "any". */
                if (c->cid < 3 || c->cid == UINT32_MAX)
                        return error_setf(reterr_message, ERANGE,
                                        "vsock CID %u can not be a guest's", c->cid);
                if (c->vhost_fd < 0)
                        return error_setf(reterr_message, EBADF,
                                          "vsock transport needs an open vhost-vsock device");
                return 0;

        case VM_TRANSPORT_SERIAL:
                if (c->cid != 0 || c->vhost_fd >= 0)
                        return error_setf(reterr_message, EINVAL,
                                          "serial transport has no vsock CID or device");
                return 0;

        default:
                return error_setf(reterr_message, EINVAL, "transport of the machine is not set");
        }
}

static int validate_share(const VmConfig *c, char **reterr_message)
{
        if (!c->share_tag) {
                if (c->share_fd >= 0)
                        return error_setf(reterr_message, EINVAL, "virtio-fs socket without a tag");
                return 0;
        }

        if (strlen(c->share_tag) > VIRTIOFS_TAG_MAX || !id_is_valid(c->share_tag, VIRTIOFS_TAG_MAX))
                return error_setf(reterr_message, EINVAL, "virtio-fs tag is not valid");
        if (c->share_fd < 0)
                return error_setf(reterr_message, EBADF,
                                "virtio-fs device '%s' has no socket to virtiofsd", c->share_tag);
        return 0;
}

static int validate_nics(const VmConfig *c, char **reterr_message)
{
        if (c->n_nics > VM_NICS_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u network interfaces", VM_NICS_MAX);
        for (size_t i = 0; i < c->n_nics; i++) {
                const VmNic *nic = &c->nics[i];

                if (nic->tap_fd < 0)
                        return error_setf(reterr_message, EBADF, "network interface %zu has no tap device", i);
                if (nic->mac[0] & 1)
                        return error_setf(reterr_message, EINVAL, "network interface %zu has a multicast address",
                                          i);
                /* The field of virtio-net's configuration space has 16 bits. */
                if (nic->mtu != 0 && (nic->mtu < VIRTIO_NET_MTU_MIN || nic->mtu > UINT16_MAX))
                        return error_setf(reterr_message, ERANGE, "network interface %zu: the MTU must be between %u "
                                          "and %u, not %" PRIu32, i, VIRTIO_NET_MTU_MIN, UINT16_MAX, nic->mtu);
        }
        return 0;
}

static int validate_identity(const VmConfig *c, char **reterr_message)
{
        if (c->uid == (uid_t) -1 || c->gid == (gid_t) -1)
                return error_setf(reterr_message, EINVAL, "user of the VMM is not set");
        if (c->uid == 0 || c->gid == 0)
                return error_setf(reterr_message, EPERM, "the VMM must not run as root");
        if (c->n_groups > VM_GROUPS_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u groups for the VMM",
                                VM_GROUPS_MAX);
        for (size_t i = 0; i < c->n_groups; i++)
                if (c->groups[i] == 0)
                        return error_setf(reterr_message, EPERM,
                                          "the VMM must not be in the group of root");
        return 0;
}

static int validate_kernel_words(const VmConfig *c, char **reterr_message)
{
        static const char *const levels[] = { "error", "warning", "info", "debug" };

        if (c->agent_log_level && table_lookup(levels, ELEMENTSOF(levels), c->agent_log_level) < 0)
                return error_setf(reterr_message, EINVAL,
                                  "log level of the agent must be error, warning, info or debug");

        return kernel_parameters_validate(c->kernel_parameters, reterr_message);
}

uint64_t vm_config_memory_max(const VmConfig *c)
{
        /* Page tables of the VMM and of the guest, an eighth of a percent each, with room. */
        uint64_t max = c->memory + c->memory / 64;

        max += VMM_OVERHEAD + c->vcpus * VMM_OVERHEAD_VCPU + MIN(c->memory, (uint64_t) VMM_OVERHEAD_FILES_MAX);
        /* The emulator's code buffer, which has this size where the host has 8 GiB, and its copies of page tables. */
        if (c->accel == VM_ACCEL_TCG)
                max += VMM_TRANSLATION_BUFFER + c->vcpus * VMM_TRANSLATION_VCPU + c->memory / 8;
        return max;
}

int vm_config_validate(const VmConfig *config, char **reterr_message)
{
        static int (*const checks[])(const VmConfig *, char **) = {
                validate_paths, validate_debug, validate_size, validate_transport,
                validate_share, validate_nics, validate_identity, validate_kernel_words,
        };

        if (isempty(config->id) || !sandbox_name_is_valid(config->id))
                return error_setf(reterr_message, EINVAL, "sandbox id is not valid");
        if ((unsigned) config->machine >= _VM_MACHINE_MAX)
                return error_setf(reterr_message, EINVAL, "machine is not set");
        if (!vm_accel_to_string(config->accel))
                return error_setf(reterr_message, EINVAL, "accelerator of the machine is not set");

        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                int r = checks[i](config, reterr_message);

                if (r < 0)
                        return r;
        }

        return 0;
}
