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
        GuestDevicePlace place; /* what the id may be, if there is no node */
} DeviceType;

static const DeviceType types[] = {
        { "blk", GUEST_DEVICE_PCI },
        { "mmioblk", GUEST_DEVICE_NODE },
        { "scsi", GUEST_DEVICE_SCSI },
        { "nvdimm", GUEST_DEVICE_NODE },
};

static const char *const type_names[] = { "blk", "mmioblk", "scsi", "nvdimm", NULL };

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

static const DeviceType *find_type(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i].name, name))
                        return &types[i];

        return NULL;
}

static int set_node(const char *text, GuestDevice *ret)
{
        if (!is_node_name(text))
                return -EINVAL;
        ret->place = GUEST_DEVICE_NODE;
        ret->node = strdup(text);
        return ret->node ? 0 : -ENOMEM;
}

static int set_place(const DeviceType *type, const char *text, GuestDevice *ret)
{
        ret->place = type->place;
        switch (type->place) {
        case GUEST_DEVICE_PCI:
                return pci_path_parse(text, &ret->pci);
        case GUEST_DEVICE_SCSI:
                return scsi_parse(text, &ret->scsi);
        case GUEST_DEVICE_NODE:
                break;
        }
        return -EINVAL;
}

int guest_device_parse(const char *type, const char *text, GuestDevice *ret)
{
        const DeviceType *t = find_type(type);
        GuestDevice device = { .kind = S_IFBLK };
        int r;

        if (!t)
                return -EINVAL;
        r = *text == '/' ? set_node(text, &device) : set_place(t, text, &device);
        if (r >= 0)
                *ret = device;
        return r;
}

static int plan_one(const Grpc__Device *d, GuestDevice *ret, char **reterr_message)
{
        const DeviceType *type = find_type(d->type);
        int r;

        if (!type)
                return error_setf(reterr_message, EOPNOTSUPP, "device '%s': type '%s' is not built into this agent, "
                                  "which has blk, mmioblk, scsi and nvdimm", d->id, d->type);
        if (d->n_options > 0)
                return error_setf(reterr_message, EOPNOTSUPP, "device '%s': option '%s' is not supported", d->id,
                                  d->options[0]);
        if (*d->container_path && (*d->container_path != '/' || strlen(d->container_path) >= PATH_MAX))
                return error_setf(reterr_message, EINVAL, "device '%s': container path '%s' is not absolute", d->id,
                                  d->container_path);

        ret->kind = S_IFBLK;
        if (*d->vm_path) {
                r = set_node(d->vm_path, ret);
                if (r == -EINVAL)
                        return error_setf(reterr_message, r, "device '%s': '%s' is not a node /dev/NAME", d->id,
                                          d->vm_path);
        } else if (type->place == GUEST_DEVICE_NODE)
                return error_setf(reterr_message, EINVAL, "device '%s': a device of type %s needs vm_path", d->id,
                                  d->type);
        else {
                r = set_place(type, d->id, ret);
                if (r < 0)
                        return error_setf(reterr_message, r, "device '%s': neither vm_path nor a %s in the id", d->id,
                                          type->place == GUEST_DEVICE_PCI ? "PCI path of the root bus" :
                                          "SCSI address ID:LUN");
        }
        if (r < 0)
                return r;

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

/* Name of what is at a place. -ENOENT while nothing is there. */
static int find_name(const GuestDevice *d, const char *root, char **ret)
{
        char sys[PATH_MAX];

        if (snprintf(sys, sizeof(sys), "%s/sys", root) >= (int) sizeof(sys))
                return -ENAMETOOLONG;
        return d->place == GUEST_DEVICE_PCI ? pci_path_find(sys, &d->pci, "block", ret) :
                                              scsi_find(sys, &d->scsi, ret);
}

/* The same with its node, below root; ret_node may be NULL. */
static int find_device(const GuestDevice *d, const char *root, struct stat *ret, char **ret_node)
{
        _cleanup_free_ char *name = NULL, *path = NULL;
        int r;

        if (d->place != GUEST_DEVICE_NODE) {
                r = find_name(d, root, &name);
                if (r < 0)
                        return r;
        }
        if (asprintf(&path, "%s%s%s", root, name ? "/dev/" : "", name ? name : d->node) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (lstat(path, ret) < 0)
                return negative_errno();
        if ((ret->st_mode & S_IFMT) != d->kind)
                return -ENOTBLK;
        if (ret_node)
                *ret_node = TAKE_PTR(path);
        return 0;
}

static int wait_for_device(const GuestDevice *d, const char *root, usec_t end, char **ret_node)
{
        char sys[PATH_MAX];

        if (d->place == GUEST_DEVICE_SCSI && snprintf(sys, sizeof(sys), "%s/sys", root) < (int) sizeof(sys))
                /* What it says does not matter: the disk comes, or it does not. */
                (void) scsi_scan(sys, &d->scsi);

        for (;;) {
                struct timespec ts = { .tv_nsec = POLL_NSEC };
                struct stat st;
                int r = find_device(d, root, &st, ret_node);

                if (r != -ENOENT)
                        return r;
                if (now_usec() >= end)
                        return -ENODEV;
                (void) nanosleep(&ts, NULL);
        }
}

static int device_error(const GuestDevice *d, int error, char **reterr_message)
{
        char text[PCI_PATH_HOPS_MAX * 5 + 16];

        switch (d->place) {
        case GUEST_DEVICE_PCI:
                strcpy(text, "PCI path ");
                pci_path_format(&d->pci, text + strlen(text));
                break;
        case GUEST_DEVICE_SCSI:
                snprintf(text, sizeof(text), "SCSI address %u:%u", d->scsi.id, d->scsi.lun);
                break;
        case GUEST_DEVICE_NODE:
                break;
        }
        return error_setf(reterr_message, error, "%s: %s", d->place == GUEST_DEVICE_NODE ? d->node : text,
                          error == -ENODEV || error == -ENOENT ? "no such device has come" :
                          error == -ENOTBLK ? "is not a disk" : strerror(-error));
}

int guest_device_wait(const GuestDevice *device, const char *root, usec_t timeout, char **ret_node,
                      char **reterr_message)
{
        int r = wait_for_device(device, root, now_usec() + timeout, ret_node);

        return r < 0 ? device_error(device, r, reterr_message) : 0;
}

int guest_devices_wait(const GuestDevices *devices, const char *root, usec_t timeout, char **reterr_message)
{
        usec_t end = now_usec() + timeout;

        for (size_t i = 0; i < devices->n; i++) {
                int r = wait_for_device(&devices->items[i], root, end, NULL);

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
                r = find_device(d, root, &st, NULL);
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
