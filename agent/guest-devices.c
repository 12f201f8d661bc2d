/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the machine in specifications of containers: see guest-devices.h. */

#include "agent/guest-devices.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "basic/error.h"
#include "basic/limits.h"

#define POLL_NSEC 10000000

typedef struct DeviceType {
        const char *name;
        bool pci;               /* the id may be a PCI path */
} DeviceType;

static const DeviceType types[] = {
        { "blk", true },
        { "mmioblk", false },
        { "nvdimm", false },
};

static const char *const type_names[] = { "blk", "mmioblk", "nvdimm", NULL };

const char *const *guest_device_types(void)
{
        return type_names;
}

void guest_devices_done(GuestDevices *devices)
{
        for (size_t i = 0; i < devices->n; i++) {
                free(devices->items[i].node);
                free(devices->items[i].container_path);
        }
        free(devices->items);
        *devices = (GuestDevices) {};
}

/* --- plan --- */

static bool is_node_name(const char *path)
{
        const char *name = startswith(path, "/dev/");

        return name && *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static int plan_one(const Grpc__Device *d, GuestDevice *ret, char **reterr_message)
{
        const DeviceType *type = NULL;

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i].name, d->type))
                        type = &types[i];
        if (!type)
                return error_setf(reterr_message, EOPNOTSUPP, "device '%s': type '%s' is not built into this agent, "
                                  "which has blk, mmioblk and nvdimm", d->id, d->type);
        if (d->n_options > 0)
                return error_setf(reterr_message, EOPNOTSUPP, "device '%s': option '%s' is not supported", d->id,
                                  d->options[0]);
        if (*d->container_path && (*d->container_path != '/' || strlen(d->container_path) >= PATH_MAX))
                return error_setf(reterr_message, EINVAL, "device '%s': container path '%s' is not absolute", d->id,
                                  d->container_path);

        ret->kind = S_IFBLK;
        if (*d->vm_path) {
                if (!is_node_name(d->vm_path))
                        return error_setf(reterr_message, EINVAL, "device '%s': '%s' is not a node /dev/NAME", d->id,
                                          d->vm_path);
                ret->node = strdup(d->vm_path);
                if (!ret->node)
                        return -ENOMEM;
        } else if (!type->pci)
                return error_setf(reterr_message, EINVAL, "device '%s': a device of type %s needs vm_path", d->id,
                                  d->type);
        else {
                int r = pci_path_parse(d->id, &ret->pci);

                if (r < 0)
                        return error_setf(reterr_message, r, "device '%s': neither vm_path nor a PCI path of the "
                                          "root bus in the id", d->id);
        }

        if (*d->container_path) {
                ret->container_path = strdup(d->container_path);
                if (!ret->container_path)
                        return -ENOMEM;
        }
        return 0;
}

int guest_devices_plan(Grpc__Device *const *devices, size_t n, GuestDevices *ret, char **reterr_message)
{
        _cleanup_(guest_devices_done) GuestDevices plan = {};

        if (n > SPEC_DEVICES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u devices", SPEC_DEVICES_MAX);

        plan.items = new0(GuestDevice, MAX(n, (size_t) 1));
        if (!plan.items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r;

                plan.n++;
                r = plan_one(devices[i], &plan.items[i], reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = plan;
        plan = (GuestDevices) {};
        return 0;
}

/* --- where it is --- */

/* -ENOENT while it is not there. */
static int find_device(const GuestDevice *d, const char *root, struct stat *ret)
{
        _cleanup_free_ char *name = NULL;
        char path[PATH_MAX], sys[PATH_MAX];
        int r;

        if (!d->node) {
                if (snprintf(sys, sizeof(sys), "%s/sys", root) >= (int) sizeof(sys))
                        return -ENAMETOOLONG;
                r = pci_path_find(sys, &d->pci, "block", &name);
                if (r < 0)
                        return r;
        }
        if (snprintf(path, sizeof(path), "%s%s%s", root, name ? "/dev/" : "", name ? name : d->node) >=
            (int) sizeof(path))
                return -ENAMETOOLONG;
        if (lstat(path, ret) < 0)
                return negative_errno();
        return (ret->st_mode & S_IFMT) == d->kind ? 0 : -ENOTBLK;
}

static int wait_for_device(const GuestDevice *d, const char *root, usec_t end)
{
        for (;;) {
                struct timespec ts = { .tv_nsec = POLL_NSEC };
                struct stat st;
                int r = find_device(d, root, &st);

                if (r != -ENOENT)
                        return r;
                if (now_usec() >= end)
                        return -ENODEV;
                (void) nanosleep(&ts, NULL);
        }
}

int device_node_wait(const char *path, mode_t kind, usec_t timeout)
{
        const GuestDevice d = { .node = (char *) (uintptr_t) path, .kind = kind };

        return wait_for_device(&d, "", now_usec() + timeout);
}

static int device_error(const GuestDevice *d, int error, char **reterr_message)
{
        char text[PCI_PATH_HOPS_MAX * 5 + 1];

        return error_setf(reterr_message, error, "%s%s: %s", d->node ? "" : "PCI path ",
                          d->node ? d->node : pci_path_format(&d->pci, text),
                          error == -ENODEV || error == -ENOENT ? "no such device has come" :
                          error == -ENOTBLK ? "is not a disk" : strerror(-error));
}

int guest_devices_wait(const GuestDevices *devices, const char *root, usec_t timeout, char **reterr_message)
{
        usec_t end = now_usec() + timeout;

        for (size_t i = 0; i < devices->n; i++) {
                int r = wait_for_device(&devices->items[i], root, end);

                if (r < 0)
                        return device_error(&devices->items[i], r, reterr_message);
        }

        return 0;
}

/* --- specification --- */

typedef struct Renumbering {
        char type;
        int64_t old_major, old_minor, new_major, new_minor;
} Renumbering;

static int renumber_device(const GuestDevice *d, const struct stat *st, Grpc__Linux *l, Renumbering *ret,
                           char **reterr_message)
{
        for (size_t i = 0; l && i < l->n_devices; i++) {
                Grpc__LinuxDevice *spec = l->devices[i];

                if (!streq(spec->path, d->container_path))
                        continue;
                *ret = (Renumbering) {
                        .type = spec->type[0] == 'u' ? 'c' : spec->type[0],
                        .old_major = spec->major, .old_minor = spec->minor,
                        .new_major = major(st->st_rdev), .new_minor = minor(st->st_rdev),
                };
                spec->major = ret->new_major;
                spec->minor = ret->new_minor;
                return 0;
        }

        return error_setf(reterr_message, ENOENT, "device %s of the request is not in the container's specification",
                          d->container_path);
}

/* Once for each rule: the new numbers of one device may be the old ones of another. */
static void renumber_rule(Grpc__LinuxDeviceCgroup *rule, const Renumbering *map, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (rule->type[0] != map[i].type || rule->major != map[i].old_major ||
                    rule->minor != map[i].old_minor)
                        continue;
                rule->major = map[i].new_major;
                rule->minor = map[i].new_minor;
                return;
        }
}

int guest_devices_apply(const GuestDevices *devices, const char *root, Grpc__Spec *spec, char **reterr_message)
{
        Grpc__LinuxResources *resources = spec->linux ? spec->linux->resources : NULL;
        _cleanup_free_ Renumbering *map = new0(Renumbering, MAX(devices->n, (size_t) 1));
        size_t n = 0;

        if (!map)
                return -ENOMEM;

        for (size_t i = 0; i < devices->n; i++) {
                const GuestDevice *d = &devices->items[i];
                struct stat st;
                int r;

                if (!d->container_path)
                        continue;
                r = find_device(d, root, &st);
                if (r < 0)
                        return device_error(d, r, reterr_message);
                r = renumber_device(d, &st, spec->linux, &map[n++], reterr_message);
                if (r < 0)
                        return r;
        }

        for (size_t i = 0; resources && i < resources->n_devices; i++)
                renumber_rule(resources->devices[i], map, n);
        return 0;
}
