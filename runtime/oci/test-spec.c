/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and notes of loading and translating: each names the property. */

#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/oci/spec-extension.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/oci/spec-load.h"

/* A small valid configuration, with something put into process, linux and the top level. */
static char *make(const char *process, const char *linux_part, const char *top)
{
        char *text = NULL;

        ASSERT_TRUE(asprintf(&text,
                             "{\"ociVersion\":\"1.0.2\",\n"
                             "\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"%s},\n"
                             "\"root\":{\"path\":\"rootfs\"},\n"
                             "\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]%s}%s}\n",
                             process, linux_part, top) > 0);
        return text;
}

static int load(const char *text, OciSpec **ret, char **reterr_message)
{
        return oci_spec_parse("config.json", text, strlen(text), ret, reterr_message);
}

static const struct {
        const char *process, *linux_part, *top, *message;
        int error;
} bad[] = {
        { ",\"user\":{\"uid\":\"0\"}", "", "",
          "config.json: process.user.uid: expected a number from 0 to 4294967295, found a string",
          EINVAL },
        { ",\"user\":{\"uid\":-1}", "", "",
          "process.user.uid: expected a number from 0 to 4294967295, found -1", EINVAL },
        { ",\"user\":{\"uid\":4294967296}", "", "", "process.user.uid: ", EINVAL },
        { ",\"user\":{\"uid\":1.5}", "", "",
          "process.user.uid: expected a number from 0 to 4294967295, found a fraction", EINVAL },
        { ",\"user\":{\"umask\":512}", "", "", "process.user.umask: expected a smaller number", EINVAL },
        { ",\"user\":{\"umask\":\"077\"}", "", "", "process.user.umask: expected a number", EINVAL },
        { ",\"ioPriority\":{\"class\":7}", "", "", "process.ioPriority", EINVAL },
        { ",\"scheduler\":[]", "", "", "process.scheduler", EINVAL },
        { ",\"user\":[]", "", "", "process.user: expected an object, found a list", EINVAL },
        { ",\"env\":\"A=1\"", "", "", "process.env: expected a list, found a string", EINVAL },
        { ",\"env\":[\"A=1\",7]", "", "", "process.env[1]: expected a string, found a number",
          EINVAL },
        { ",\"env\":[\"A=1\\u0000B=2\"]", "", "", "process.env[0]: string with a NUL", EINVAL },
        { ",\"noNewPrivileges\":1", "", "",
          "process.noNewPrivileges: expected true or false, found a number", EINVAL },
        { ",\"oomScoreAdj\":9223372036854775808", "", "",
          "process.oomScoreAdj: expected a number from -9223372036854775808", EINVAL },
        { ",\"cwd\":\"tmp\"", "", "", "process.cwd: expected an absolute path", EINVAL },
        { ",\"args\":[]", "", "", "process.args: no program is named", EINVAL },
        { ",\"CWD\":\"/\"", "", "", "process.CWD: given twice", EINVAL },
        { ",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"hard\":1,\"soft\":2}]", "", "",
          "process.rlimits[0]: the soft limit", EINVAL },
        { ",\"rlimits\":[{\"type\":\"NOFILE\",\"hard\":1,\"soft\":1}]", "", "",
          "process.rlimits[0].type: ", EINVAL },
        { "", ",\"timeOffsets\":{\"realtime\":{\"secs\":1}}", "",
          "linux.timeOffsets: expected monotonic", EINVAL },
        { "", ",\"timeOffsets\":{\"boottime\":{\"secs\":\"1\"}}", "",
          "linux.timeOffsets: secs: expected a number", EINVAL },
        { "", ",\"resources\":{\"unified\":{\"memory.high\":1}}", "",
          "linux.resources.unified: expected strings", EINVAL },
        { "", ",\"seccomp\":{\"listenerPath\":\"/x\"}", "",
          "linux.seccomp.listenerPath: not supported", EOPNOTSUPP },
        { "", ",\"sysctl\":{\"a\\nb\":5}", "",
          "linux.sysctl.a\\x0ab: expected a string, found a number", EINVAL },
        { "", ",\"namespaces\":[{\"type\":\"net\"}]", "",
          "linux.namespaces[0].type: expected pid, network", EINVAL },
        { "", ",\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]", "",
          "linux.namespaces[1]: second 'pid'", EINVAL },
        { "", "", ",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{}]}]",
          "mounts[0].gidMappings: expected uidMappings and gidMappings together", EINVAL },
        { "", "", ",\"mounts\":[{\"destination\":\"a\"}]",
          "mounts[0].destination: expected an absolute path", EINVAL },
        { "", "", ",\"mounts\":[{\"destination\":\"/a/../b\"}]", "mounts[0].destination: ",
          EINVAL },
        { "", "", ",\"domainname\":7", "domainname: expected a string", EINVAL },
        { "", "", ",\"ociVersion\":\"2.0.0\"", "ociVersion: expected 1.x", EINVAL },
        { "", "", ",\"root\":{}", "root.path: missing", EINVAL },
        { "", "", "}", "config.json:4: not JSON", EINVAL },
        { "", "", ",", "config.json:4: not JSON", EINVAL },
        { ",]", "", "", "config.json:2: not JSON", EINVAL },
};

TEST(errors)
{
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *text = make(bad[i].process, bad[i].linux_part, bad[i].top), *message = NULL;
                _cleanup_oci_spec_ OciSpec *oci = NULL;
                int r;

                r = load(text, &oci, &message);
                if (r != -bad[i].error)
                        TEST_FAIL("%s: %d, %s", text, r, strempty(message));
                ASSERT_CONTAINS(message, bad[i].message);
                ASSERT_NULL(strchr(message, '\n'));
                ASSERT_NULL(oci);
        }
}

TEST(not_an_object)
{
        static const char *const texts[] = {
                "", " ", "[]", "7", "null", "{", "{\"ociVersion\":\"1.0.0\"", "\xff", "{}x",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_oci_spec_ OciSpec *oci = NULL;
                _cleanup_free_ char *message = NULL;

                ASSERT_ERROR(load(texts[i], &oci, &message), EINVAL);
                ASSERT_CONTAINS(message, "config.json");
        }
}

TEST(characters)
{
        static const char utf8[] = "x\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80y";
        _cleanup_free_ char *text = make(",\"env\":[\"A=x\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80y\","
                                         "\"B=\\u00fc\\\\\xc3\xbc\\n\"]", "", ""),
                            *escaped = make(",\"env\":[\"\\\xc3\xbc\"]", "", ""),
                            *outside = make(",\xc3\xbc", "", ""), *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        ASSERT_OK(load(text, &oci, NULL));
        ASSERT_STREQ(oci->spec->process->env[0] + 2, utf8);
        ASSERT_STREQ(oci->spec->process->env[1], "B=\xc3\xbc\\\xc3\xbc\n");

        oci_spec_free(TAKE_PTR(oci));
        ASSERT_ERROR(load(escaped, &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "config.json:2: not JSON: bad escape");
        ASSERT_ERROR(load(outside, &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "config.json:2: not JSON");
}

TEST(missing_parts)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_free_ char *message = NULL;

        ASSERT_ERROR(load("{}", &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "ociVersion");
        ASSERT_ERROR(load("{\"ociVersion\":\"1.0.0\"}", &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "process: missing");
        ASSERT_ERROR(load("{\"ociVersion\":\"1.0.0\",\"process\":null}", &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "process: missing");
}

TEST(notes)
{
        _cleanup_free_ char *text = make("",
                                         ",\"resources\":{\"memory\":{\"useHierarchy\":true},\"cpu\":{\"idle\":1}}",
                                         ",\"new\":{\"a\":1},\"empty\":{}");
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        ASSERT_OK(load(text, &oci, NULL));
        ASSERT_EQ(oci->notes.n, 2);
        ASSERT_STREQ(oci->notes.v[0], "config.json: linux.resources.cpu.idle: not supported, ignored");
        ASSERT_STREQ(oci->notes.v[1], "config.json: new: unknown property, ignored");
}

/* What Kata's messages have no fields for. */
TEST(extension)
{
        static const char *const single[][3] = {
                { ",\"user\":{\"umask\":63}", "", "" },
                { "", "", ",\"domainname\":\"x\"" },
                { "", ",\"personality\":{\"domain\":\"LINUX32\"}", "" },
                { "", ",\"timeOffsets\":{\"monotonic\":{\"secs\":1}}", "" },
                { "", ",\"resources\":{\"unified\":{\"memory.high\":\"1M\"}}", "" },
                { ",\"scheduler\":{\"policy\":\"SCHED_BATCH\"}", "", "" },
                { ",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\"}", "", "" },
        };
        static const char *const names[] = {
                "process.user.umask", "domainname", "linux.personality", "linux.timeOffsets",
                "linux.resources.unified", "process.scheduler", "process.ioPriority",
        };
        _cleanup_free_ char *text = make(
                        ",\"user\":{\"umask\":63},\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":6},"
                        "\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":-5,\"flags\":[\"F\"],\"period\":7}",
                        ",\"personality\":{\"domain\":\"LINUX32\"},\"timeOffsets\":{\"boottime\":{\"secs\":-3,"
                        "\"nanosecs\":4}},\"resources\":{\"unified\":{\"memory.high\":\"1M\"}}",
                        ",\"domainname\":\"d\"");
        _cleanup_free_ char *plain = make(",\"user\":{\"umask\":18}", ",\"resources\":{\"unified\":{}}", "");
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        Kata__Systemd__V1__SpecExtension *e;

        ASSERT_OK(load(text, &oci, NULL));
        ASSERT_EQ(oci->notes.n, 0);
        e = ASSERT_NOT_NULL(oci->extension);
        ASSERT_STREQ(e->domainname, "d");
        ASSERT_TRUE(e->has_umask);
        ASSERT_EQ(e->umask, 63);
        ASSERT_STREQ(e->io_priority->io_class, "IOPRIO_CLASS_BE");
        ASSERT_EQ(e->io_priority->priority, 6);
        ASSERT_STREQ(e->scheduler->policy, "SCHED_BATCH");
        ASSERT_EQ(e->scheduler->nice, -5);
        ASSERT_EQ(e->scheduler->n_flags, 1);
        ASSERT_EQ(e->scheduler->period, 7);
        ASSERT_STREQ(e->personality->domain, "LINUX32");
        ASSERT_EQ(e->n_time_offsets, 1);
        ASSERT_STREQ(e->time_offsets[0]->clock, "boottime");
        ASSERT_EQ(e->time_offsets[0]->secs, -3);
        ASSERT_EQ(e->time_offsets[0]->nanosecs, 4);
        ASSERT_EQ(e->n_unified, 1);
        ASSERT_STREQ(e->unified[0]->key, "memory.high");
        ASSERT_STREQ(e->unified[0]->value, "1M");
        oci = oci_spec_free(oci);

        /* podman's umask is what a process has anyway. */
        ASSERT_OK(load(plain, &oci, NULL));
        ASSERT_NULL(oci->extension);

        ASSERT_NULL(spec_extension_first(oci));
        ASSERT_NULL(spec_extension_first(NULL));

        /* All of it goes to the guest, where the agent sees to it. */
        for (size_t i = 0; i < ELEMENTSOF(single); i++) {
                _cleanup_free_ char *one = make(single[i][0], single[i][1], single[i][2]);
                _cleanup_oci_shares_ OciShares shares = {};
                _cleanup_oci_spec_ OciSpec *spec = NULL;

                ASSERT_OK(load(one, &spec, NULL));
                spec->bundle = strdup("/bundle");
                ASSERT_OK(oci_spec_to_guest(spec, "web", &shares, NULL));
                ASSERT_EQ(spec->notes.n, 0);
                ASSERT_STREQ(spec_extension_first(spec), names[i]);
        }
}

#define MAPPING "[{\"containerID\":0,\"hostID\":1000,\"size\":10}]"

TEST(mount_mappings)
{
        static const struct {
                const char *mappings, *message;
        } bad_mappings[] = {
                { "\"uidMappings\":" MAPPING, "mounts[1].gidMappings: expected uidMappings and gidMappings together" },
                { "\"uidMappings\":{},\"gidMappings\":" MAPPING, "mounts[1].uidMappings: expected a list" },
                { "\"uidMappings\":[7],\"gidMappings\":" MAPPING, "mounts[1].uidMappings" },
                { "\"uidMappings\":" MAPPING ",\"gidMappings\":[null]", "mounts[1].gidMappings: expected objects" },
        };
        _cleanup_free_ char *text = make("", "", ",\"mounts\":["
                        "{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/shm\",\"uidMappings\":" MAPPING
                        ",\"gidMappings\":" MAPPING "},"
                        "{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\",\"uidMappings\":[],"
                        "\"gidMappings\":null},"
                        "{\"destination\":\"/c\",\"type\":\"bind\",\"source\":\"/d\",\"uidMappings\":" MAPPING
                        ",\"gidMappings\":" MAPPING ",\"options\":[\"rbind\",\"ridmap\"]}]");
        _cleanup_free_ char *long_list = NULL, *long_text = NULL, *user = NULL, *message = NULL;
        _cleanup_oci_shares_ OciShares shares = {};
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        ASSERT_OK(load(text, &oci, NULL));
        ASSERT_EQ(oci->notes.n, 0);
        ASSERT_STREQ(spec_extension_first(oci), "mounts[].uidMappings");
        ASSERT_EQ(oci->extension->n_mount_mappings, 2);
        oci->bundle = strdup("/bundle");
        ASSERT_OK(oci_spec_to_guest(oci, "web", &shares, NULL));
        /* The guest's own /dev/shm belongs to whoever is root in the container anyway. */
        ASSERT_EQ(oci->extension->n_mount_mappings, 1);
        ASSERT_EQ(oci->extension->mount_mappings[0]->mount, 2);
        ASSERT_EQ(oci->extension->mount_mappings[0]->n_gid_mappings, 1);
        ASSERT_EQ(oci->extension->mount_mappings[0]->uid_mappings[0]->hostid, 1000);
        ASSERT_EQ(oci->extension->mount_mappings[0]->uid_mappings[0]->size, 10);
        ASSERT_STREQ(oci->spec->mounts[2]->options[1], "ridmap");

        /* Those of the user namespace are written down for it. */
        user = make("", ",\"uidMappings\":" MAPPING ",\"gidMappings\":" MAPPING, ",\"mounts\":[{\"destination\":\"/a\","
                    "\"type\":\"bind\",\"source\":\"/b\"},{\"destination\":\"/c\",\"type\":\"bind\",\"source\":\"/d\","
                    "\"options\":[\"rbind\",\"idmap\"]}]");
        oci_shares_done(&shares);
        oci = oci_spec_free(oci);
        ASSERT_OK(load(user, &oci, NULL));
        ASSERT_NULL(oci->extension);
        oci->bundle = strdup("/bundle");
        ASSERT_OK(oci_spec_to_guest(oci, "web", &shares, NULL));
        ASSERT_EQ(oci->extension->n_mount_mappings, 1);
        ASSERT_EQ(oci->extension->mount_mappings[0]->mount, 1);
        ASSERT_EQ(oci->extension->mount_mappings[0]->gid_mappings[0]->hostid, 1000);

        for (size_t i = 0; i < ELEMENTSOF(bad_mappings); i++) {
                _cleanup_free_ char *top = NULL, *one = NULL;
                OciSpec *none;

                ASSERT_TRUE(asprintf(&top, ",\"mounts\":[{\"destination\":\"/x\"},{\"destination\":\"/a\",%s}]",
                                     bad_mappings[i].mappings) > 0);
                one = make("", "", top);
                message = mfree(message);
                ASSERT_ERROR(load(one, &none, &message), EINVAL);
                ASSERT_CONTAINS(message, bad_mappings[i].message);
        }

        f = ASSERT_NOT_NULL(open_memstream(&long_list, &n));
        fputs(",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[", f);
        for (unsigned i = 0; i <= SPEC_ID_MAPPINGS_MAX; i++)
                fprintf(f, "%s{}", i > 0 ? "," : "");
        fputs("]}]", f);
        ASSERT_OK(fflush(f));
        long_text = make("", "", long_list);
        message = mfree(message);
        oci = oci_spec_free(oci);
        ASSERT_ERROR(load(long_text, &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "mounts[0].uidMappings: expected at most 340 mappings");
}

/* Numbers of CPUs and devices are the host's, whichever way they come. */
TEST(unified_for_the_guest)
{
        static const char text[] = "{\"unified\":{\"cpuset.cpus\":\"0-1\",\"memory.high\":\"1M\","
                                   "\"io.max\":\"8:0 rbps=1\",\"hugetlb.2MB.max\":\"1\"}}";
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        ASSERT_OK(oci_resources_parse("update", text, strlen(text), &oci, NULL));
        ASSERT_EQ(oci->extension->n_unified, 4);
        ASSERT_OK(oci_resources_to_guest(oci, NULL));
        ASSERT_EQ(oci->notes.n, 3);
        ASSERT_CONTAINS(oci->notes.v[0], "cpuset.cpus");
        ASSERT_EQ(oci->extension->n_unified, 1);
        ASSERT_STREQ(oci->extension->unified[0]->key, "memory.high");
}

TEST(depth)
{
        _cleanup_free_ char *deep = malloc(100001), *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        memset(ASSERT_NOT_NULL(deep), '[', 100000);
        deep[100000] = '\0';
        ASSERT_ERROR(load(deep, &oci, &message), EINVAL);
        ASSERT_CONTAINS(message, "not JSON");
}

TEST(sizes)
{
        _cleanup_free_ char *text = NULL, *large = NULL, *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = ASSERT_NOT_NULL(open_memstream(&text, &n));
        fputs(",\"mounts\":[", f);
        for (unsigned i = 0; i <= MOUNTS_MAX; i++)
                fprintf(f, "%s{\"destination\":\"/a\"}", i > 0 ? "," : "");
        fputs("]", f);
        ASSERT_OK(fflush(f));
        large = make("", "", text);
        ASSERT_ERROR(load(large, &oci, &message), E2BIG);
        ASSERT_CONTAINS(message, "mounts: more than 256");

        /*
         * Small objects that cost much: the arena's budget ends it, if not the length of the list.
         */
        rewind(f);
        fputs(",\"mounts\":[", f);
        for (unsigned i = 0; i <= OCI_LIST_MAX; i++)
                fprintf(f, "%s{}", i > 0 ? "," : "");
        fputs("]", f);
        ASSERT_OK(fflush(f));
        free(large);
        large = make("", "", text);
        ASSERT_ERROR(load(large, &oci, &message), E2BIG);
        ASSERT_CONTAINS(message, "mounts: more than 16384 elements");
}

TEST(files)
{
        char dir[] = "/tmp/test-spec-XXXXXX";
        _cleanup_free_ char *message = NULL, *path = NULL, *missing = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_TRUE(asprintf(&path, "%s/config.json", dir) > 0);
        ASSERT_TRUE(asprintf(&missing, "%s/x", dir) > 0);

        ASSERT_ERROR(oci_spec_load("rel", &oci, &message), EINVAL);
        ASSERT_ERROR(oci_spec_load(missing, &oci, &message), ENOENT);
        ASSERT_CONTAINS(message, "/x does not exist");
        ASSERT_ERROR(oci_spec_load(dir, &oci, &message), ENOENT);
        ASSERT_CONTAINS(message, "/config.json: No such file");

        ASSERT_OK(write_file_atomic(path, "{", 1, 0644));
        ASSERT_OK(truncate(path, (off_t) OCI_CONFIG_MAX + 1));
        ASSERT_ERROR(oci_spec_load(dir, &oci, &message), EFBIG);
        ASSERT_OK(rm_rf(dir));
}

static const struct {
        const char *process, *linux_part, *top, *message;
} not_for_guest[] = {
        { "", "",
          ",\"hooks\":{\"createRuntime\":[{\"path\":\"/a\"}],\"poststop\":[{\"path\":\"/b\"}]}",
          "hooks of the host can not be run here: createRuntime, poststop" },
        { "", ",\"devices\":[{\"path\":\"/dev/sda\",\"type\":\"b\",\"major\":8}]", "",
          "linux.devices[0]: block devices" },
        { "", "", ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"nfs\",\"source\":\"x:/\"}]",
          "mounts[0].type: 'nfs' is not supported" },
        { "", "", ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\"}]",
          "mounts[0].source: missing" },
        { "", "", ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"b\"}]",
          "mounts[0].source: 'b' is not an absolute path" },
        { "", "",
          ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\",\"options\":[\"idmap=uids\"]}]",
          "mounts[0].options: 'idmap' with a value is not supported" },
        { "", "",
          ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\",\"options\":[\"ridmap\"]}]",
          "mounts[0].options: 'ridmap' without mappings" },
};

TEST(guest_errors)
{
        for (size_t i = 0; i < ELEMENTSOF(not_for_guest); i++) {
                _cleanup_free_ char *text = make(not_for_guest[i].process, not_for_guest[i].linux_part,
                                                 not_for_guest[i].top),
                                    *message = NULL;
                _cleanup_oci_shares_ OciShares shares = {};
                _cleanup_oci_spec_ OciSpec *oci = NULL;

                ASSERT_OK(load(text, &oci, NULL));
                /* The root's relative path would be the first thing to fail, without a bundle. */
                oci->spec->root->path = oci_spec_strdup(oci, "/r");
                ASSERT_TRUE(oci_spec_to_guest(oci, "web", &shares, &message) < 0);
                ASSERT_CONTAINS(message, not_for_guest[i].message);
                ASSERT_EQ(shares.n, 0);
        }
}

TEST(share_names)
{
        static const struct {
                const char *source, *name;
        } cases[] = {
                { "/srv/a", "web-0-a" },
                { "/srv/a//", "web-0-a" },
                { "/", "web-0-root" },
                { "/srv/a b\\u00e4", "web-0-a_b__" },
                { "/srv/..", "web-0-.." },
                { "/procx", "web-0-procx" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *top = NULL, *text = NULL, *want = NULL;
                _cleanup_oci_shares_ OciShares shares = {};
                _cleanup_oci_spec_ OciSpec *oci = NULL;

                ASSERT_TRUE(asprintf(&top, ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"none\",\"source\":\"%s\","
                                     "\"options\":[\"bind\",\"ro\",\"rw\"]}]", cases[i].source) > 0);
                text = make("", "", top);
                ASSERT_OK(load(text, &oci, NULL));
                oci->bundle = strdup("/bundle");
                ASSERT_OK(oci_spec_to_guest(oci, "web", &shares, NULL));
                ASSERT_EQ(shares.n, 2);
                ASSERT_STREQ(shares.v[0].source, "/bundle/rootfs");
                ASSERT_STREQ(shares.v[0].name, "web/rootfs");
                ASSERT_STREQ(shares.v[1].name, cases[i].name);
                ASSERT_FALSE(shares.v[1].read_only);
                ASSERT_TRUE(asprintf(&want, OCI_GUEST_SHARE "/%s", cases[i].name) > 0);
                ASSERT_STREQ(oci->spec->mounts[0]->source, want);
        }
}

static int parse_process(const char *text, OciSpec **ret, char **reterr_message)
{
        return oci_process_parse("exec", text, strlen(text), ret, reterr_message);
}

TEST(process_alone)
{
        _cleanup_free_ char *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        OciSpec *none;

        ASSERT_OK(parse_process("{\"terminal\":true,\"user\":{\"uid\":7,\"gid\":8},\"args\":[\"/bin/sh\"],"
                                "\"cwd\":\"/\",\"apparmorProfile\":\"p\"}", &oci, NULL));
        ASSERT_OK(oci_process_to_guest(oci, NULL));
        ASSERT_TRUE(oci->spec->process->terminal);
        ASSERT_EQ(oci->spec->process->user->uid, 7);
        ASSERT_STREQ(oci->spec->process->apparmorprofile, "");
        ASSERT_EQ(oci->notes.n, 1);

        ASSERT_ERROR(parse_process("{}", &none, &message), EINVAL);
        ASSERT_CONTAINS(message, "exec: process.args: no program");
        ASSERT_ERROR(parse_process("{\"args\":[\"a\"],\"cwd\":\"b\"}", &none, &message), EINVAL);
        ASSERT_CONTAINS(message, "process.cwd");
        oci = oci_spec_free(oci);
        ASSERT_OK(parse_process("{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"umask\":7},"
                                "\"scheduler\":{\"policy\":\"SCHED_IDLE\"}}", &oci, NULL));
        ASSERT_EQ(oci->extension->umask, 7);
        ASSERT_STREQ(oci->extension->scheduler->policy, "SCHED_IDLE");
        oci = oci_spec_free(oci);
        ASSERT_OK(parse_process("{\"args\":[\"a\"],\"cwd\":\"/\",\"execCPUAffinity\":"
                                "{\"initial\":\"0-1\",\"final\":\"1\"}}", &oci, NULL));
        ASSERT_OK(oci_process_to_guest(oci, NULL));
        ASSERT_STREQ(oci->extension->exec_cpu_affinity->initial, "0-1");
        ASSERT_STREQ(oci->extension->exec_cpu_affinity->final, "1");
        ASSERT_ERROR(parse_process("{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"umask\":512}}", &none, &message),
                     EINVAL);
        ASSERT_CONTAINS(message, "process.user.umask");
        ASSERT_ERROR(parse_process("[]", &none, &message), EINVAL);
}

TEST(resources_alone)
{
        static const char text[] = "{\"memory\":{\"limit\":1048576},\"cpu\":{\"shares\":7,\"cpus\":\"0-1\"}}";
        _cleanup_free_ char *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL, *empty = NULL;
        OciSpec *none;

        ASSERT_OK(oci_resources_parse("update", text, strlen(text), &oci, NULL));
        ASSERT_OK(oci_resources_to_guest(oci, NULL));
        ASSERT_EQ(oci->spec->linux->resources->memory->limit, 1048576);
        ASSERT_EQ(oci->spec->linux->resources->cpu->shares, 7);
        ASSERT_STREQ(oci->spec->linux->resources->cpu->cpus, "");
        ASSERT_EQ(oci->notes.n, 1);

        ASSERT_OK(oci_resources_parse("update", "{}", 2, &empty, NULL));
        ASSERT_OK(oci_resources_to_guest(empty, NULL));
        ASSERT_ERROR(oci_resources_parse("update", "{\"unified\":{\"a\":1}}", 19, &none, &message), EINVAL);
        ASSERT_CONTAINS(message, "linux.resources.unified");
}

DEFINE_TEST_MAIN
