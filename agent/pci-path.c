/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths → names of devices: see pci-path.h. Reads sysfs. */

#include "agent/pci-path.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "basic/error.h"

#define ROOT "pci0000:00"
#define POLL_NSEC 10000000
/* From here on the first of three hops names an expander bridge, which is a root bus of its own. */
#define EXPANDER_SLOT 0x20

static void closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static int check(const PciPath *path)
{
        if (path->n == 0)
                return -EINVAL;
        if (path->n >= 3 && path->hops[0].slot >= EXPANDER_SLOT)
                return -EOPNOTSUPP;
        for (size_t i = 0; i < path->n; i++)
                if (path->hops[i].slot >= 0x20 || path->hops[i].function >= 8)
                        return -EINVAL;
        return 0;
}

static int hex(char c)
{
        return isdigit((unsigned char) c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pci_path_parse(const char *s, PciPath *ret)
{
        PciPath path = {};
        int r;

        for (;;) {
                int high = hex(s[0]), low = high < 0 ? -1 : hex(s[1]);

                if (low < 0 || path.n >= PCI_PATH_HOPS_MAX)
                        return -EINVAL;
                path.hops[path.n].slot = (uint8_t) (high << 4 | low);
                s += 2;
                if (*s == '.') {
                        if (s[1] < '0' || s[1] > '7')
                                return -EINVAL;
                        path.hops[path.n].function = (uint8_t) (s[1] - '0');
                        s += 2;
                }
                path.n++;
                if (!*s)
                        break;
                if (*s++ != '/')
                        return -EINVAL;
        }

        r = check(&path);
        if (r >= 0)
                *ret = path;
        return r;
}

int pci_path_from_slots(const uint32_t *slots, size_t n, PciPath *ret)
{
        PciPath path = { .n = n };
        int r;

        if (n > PCI_PATH_HOPS_MAX)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (slots[i] > UINT8_MAX)
                        return -EINVAL;
                path.hops[i].slot = (uint8_t) slots[i];
        }

        r = check(&path);
        if (r >= 0)
                *ret = path;
        return r;
}

const char *pci_path_format(const PciPath *path, char buf[static PCI_PATH_HOPS_MAX * 5 + 1])
{
        char *p = buf;

        *p = '\0';
        for (size_t i = 0; i < path->n; i++) {
                p += sprintf(p, "%s%02x", i > 0 ? "/" : "", path->hops[i].slot);
                if (path->hops[i].function > 0)
                        p += sprintf(p, ".%u", path->hops[i].function & 7U);
        }
        return buf;
}

/* The only entry of a directory whose name begins with prefix; -ENOENT if there is none. */
static int first_entry(const char *path, const char *prefix, char ret[static NAME_MAX + 1])
{
        _cleanup_(closedirp) DIR *dir = opendir(path);
        struct dirent *e;

        if (!dir)
                return negative_errno();
        while ((e = readdir(dir)))
                if (e->d_name[0] != '.' && startswith(e->d_name, prefix)) {
                        snprintf(ret, NAME_MAX + 1, "%s", e->d_name);
                        return 0;
                }
        return -ENOENT;
}

static int append(char path[static PATH_MAX], const char *name)
{
        size_t n = strlen(path);

        return snprintf(path + n, PATH_MAX - n, "/%s", name) >= (int) (PATH_MAX - n) ? -ENAMETOOLONG : 0;
}

static int device_directory(const char *sys, const PciPath *path, char ret[static PATH_MAX])
{
        char bus[NAME_MAX + 1] = "0000:00", name[NAME_MAX + 16];
        int r;

        if (snprintf(ret, PATH_MAX, "%s/devices/" ROOT, sys) >= PATH_MAX)
                return -ENAMETOOLONG;
        for (size_t i = 0; i < path->n; i++) {
                char bridge[PATH_MAX];

                snprintf(name, sizeof(name), "%s:%02x.%u", bus, path->hops[i].slot, path->hops[i].function);
                r = append(ret, name);
                if (r < 0 || i + 1 == path->n)
                        return r;
                memcpy(bridge, ret, PATH_MAX);
                r = append(bridge, "pci_bus");
                if (r >= 0)
                        r = first_entry(bridge, "", bus);
                if (r < 0)
                        return r;
        }

        return 0;
}

int pci_path_find(const char *sys, const PciPath *path, const char *class, char **ret)
{
        char dir[PATH_MAX], direct[PATH_MAX], name[NAME_MAX + 1];
        char *copy;
        int r;

        r = device_directory(sys, path, dir);
        if (r < 0)
                return r;

        /* A device with a driver of its own, or a virtio device behind its PCI function. */
        memcpy(direct, dir, PATH_MAX);
        r = append(direct, class);
        if (r >= 0)
                r = first_entry(direct, "", name);
        if (r == -ENOENT) {
                r = first_entry(dir, "virtio", name);
                if (r >= 0)
                        r = append(dir, name);
                if (r >= 0)
                        r = append(dir, class);
                if (r >= 0)
                        r = first_entry(dir, "", name);
        }
        if (r < 0)
                return r;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int pci_path_wait(const char *sys, const PciPath *path, const char *class, usec_t timeout, char **ret,
                  char **reterr_message)
{
        char root[PATH_MAX], text[PCI_PATH_HOPS_MAX * 5 + 1];
        usec_t end = now_usec() + timeout;
        int r;

        if (snprintf(root, sizeof(root), "%s/devices/" ROOT, sys) >= (int) sizeof(root))
                return -ENAMETOOLONG;
        if (access(root, F_OK) < 0)
                return error_setf(reterr_message, EOPNOTSUPP, "PCI path %s: this machine has no PCI bus",
                                  pci_path_format(path, text));

        for (;;) {
                struct timespec ts = { .tv_nsec = POLL_NSEC };

                r = pci_path_find(sys, path, class, ret);
                if (r != -ENOENT)
                        break;
                if (now_usec() >= end)
                        return error_setf(reterr_message, ENODEV, "PCI path %s: no %s device has come "
                                          "within %llu s", pci_path_format(path, text), class,
                                          (unsigned long long) (timeout / USEC_PER_SEC));
                (void) nanosleep(&ts, NULL);
        }
        if (r < 0)
                return error_setf(reterr_message, r, "PCI path %s: %s", pci_path_format(path, text),
                                  strerror(-r));
        return 0;
}
