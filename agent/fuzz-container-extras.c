/* SPDX-License-Identifier: Apache-2.0 */
/* A packed SpecExtension: unpacked, checked, and put into a plan. Nothing is executed. */

#include <sched.h>

#include "agent/cgroup.h"
#include "agent/container-extras.h"
#include "agent/mounts.h"
#include "basic/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mappings(const Kata__Systemd__V1__MountMappings *m)
{
        _cleanup_(mount_entry_done) MountEntry entry = { .kind = MOUNT_KIND_BIND };
        int r = mount_entry_set_maps(&entry, m->uid_mappings, m->n_uid_mappings, m->gid_mappings, m->n_gid_mappings,
                                     NULL);

        if (r >= 0)
                assert(entry.idmap && entry.uid_map.n > 0 && entry.gid_map.n > 0 &&
                       entry.uid_map.n <= SPEC_ID_MAPPINGS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(container_extras_done) ContainerExtras x = {};
        _cleanup_(cgroup_settings_done) CgroupSettings settings = {};
        _cleanup_free_ char *message = NULL, *unified_message = NULL, *process_message = NULL;
        ContainerExtras process = {};
        Kata__Systemd__V1__SpecExtension *extension;
        int r;

        if (size > KIB(64))
                return 0;
        extension = kata__systemd__v1__spec_extension__unpack(NULL, size, data);
        if (!extension)
                return 0;

        r = container_extras_parse(&x, extension, CLONE_NEWUTS | CLONE_NEWTIME, &message);
        if (r < 0)
                assert((message || r == -ENOMEM) && !x.domainname && !x.time_offsets);
        r = container_extras_parse_process(&process, extension, &process_message);
        assert((r >= 0) == !process_message && !process.domainname && !process.time_offsets);
        (void) container_extras_check_update(extension, NULL);
        r = cgroup_settings_add_unified(&settings, extension->unified, extension->n_unified, &unified_message);
        assert(r >= 0 || unified_message || r == -ENOMEM);
        for (size_t i = 0; i < extension->n_mount_mappings; i++)
                check_mappings(extension->mount_mappings[i]);
        /* Nothing of it refers to the input. */
        kata__systemd__v1__spec_extension__free_unpacked(extension, NULL);

        assert(!x.domainname || strlen(x.domainname) <= HOSTNAME_LEN_MAX);
        assert(x.umask <= 0777);
        assert(x.scheduler.nice >= -20 && x.scheduler.nice <= 19 && x.scheduler.priority <= 99);
        for (size_t i = 0; i < settings.n; i++)
                assert(!strchr(settings.items[i].file, '/') && settings.items[i].file[0] != '.');
        return 0;
}
