/* SPDX-License-Identifier: Apache-2.0 */
/* Other limits for a container that exists: see container.h. Input comes from the host. */

#include "agent/container-update.h"

#include <fcntl.h>

#include "agent/container-plan.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"

struct ContainerUpdate {
        char *path;                     /* the cgroup */
        CgroupSettings files;
        struct bpf_insn *insns;         /* NULL: device rules stay */
        size_t n_insns;
        int replaced_fd;                /* the program that was in place before */
};

ContainerUpdate *container_update_free(ContainerUpdate *update)
{
        if (!update)
                return NULL;

        free(update->path);
        cgroup_settings_done(&update->files);
        free(update->insns);
        safe_close(update->replaced_fd);
        free(update);
        return NULL;
}

/* The memory limit in force; 0 if there is none. */
static int current_limit(const Cgroup *cgroup, int64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_file_at(cgroup->fd, "memory.max", 64, &text, NULL);
        if (r == -ENOENT) {
                *ret = 0;
                return 0;
        }
        if (r < 0)
                return r;

        text[strcspn(text, "\n")] = '\0';
        if (streq(text, "max")) {
                *ret = 0;
                return 0;
        }
        return parse_i64(text, ret);
}

static int plan_files(ContainerUpdate *update, const Cgroup *cgroup, const Grpc__LinuxResources *resources,
                      const Kata__Systemd__V1__SpecExtension *extension, char **reterr_message)
{
        Grpc__LinuxResources copy = *resources;
        Grpc__LinuxMemory memory;
        int r;

        if (resources->memory && resources->memory->swap > 0 && resources->memory->limit == 0) {
                memory = *resources->memory;
                r = current_limit(cgroup, &memory.limit);
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot read memory.max: %s", strerror(-r));
                copy.memory = &memory;
        }

        r = cgroup_settings_from_spec(&update->files, &copy, reterr_message);
        if (r < 0 || !extension)
                return r;
        r = container_extras_check_update(extension, reterr_message);
        return r < 0 ? r : cgroup_settings_add_unified(&update->files, extension->unified, extension->n_unified,
                                                       reterr_message);
}

int container_update_plan(ContainerUpdate **ret, const Container *c, const Grpc__LinuxResources *resources,
                          const Kata__Systemd__V1__SpecExtension *extension, char **reterr_message)
{
        _cleanup_(container_update_freep) ContainerUpdate *update = new0(ContainerUpdate, 1);
        const Cgroup *cgroup = container_cgroup(c);
        int r;

        if (!update)
                return -ENOMEM;
        update->replaced_fd = -EBADF;
        update->path = strdup(cgroup->path);
        if (!update->path)
                return -ENOMEM;

        r = plan_files(update, cgroup, resources, extension, reterr_message);
        if (r < 0)
                return r;

        if (resources->n_devices > 0) {
                _cleanup_free_ DeviceRule *rules = NULL;
                size_t n;

                r = device_rules_parse(&rules, &n, resources, reterr_message);
                if (r >= 0)
                        r = device_filter_build(rules, n, &update->insns, &update->n_insns);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(update);
        return 0;
}

int container_update_devices(Container *c, ContainerUpdate *update, char **reterr_message)
{
        int *current = container_device_filter(c), fd;

        if (!update->insns)
                return 0;

        fd = device_filter_attach(container_cgroup(c)->fd, update->insns, update->n_insns, *current,
                                  reterr_message);
        if (fd < 0)
                return fd;

        update->replaced_fd = *current;
        *current = fd;
        return 0;
}

int container_update_undo(Container *c, ContainerUpdate *update)
{
        int *current = container_device_filter(c), r;

        if (update->replaced_fd < 0)
                return 0;

        r = device_filter_restore(container_cgroup(c)->fd, update->replaced_fd, *current);
        if (r < 0)
                return r;

        safe_close(*current);
        *current = TAKE_FD(update->replaced_fd);
        return 0;
}

int container_update_files(const ContainerUpdate *update, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;

        if (update->files.n == 0)
                return 0;

        fd = open(update->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                int r = negative_errno();

                return error_setf(reterr_message, r, "cgroup '%s': %s", update->path, strerror(-r));
        }

        return cgroup_update(fd, &update->files, reterr_message);
}
