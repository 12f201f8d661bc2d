/* SPDX-License-Identifier: Apache-2.0 */
/* Owners of files in dpkg's database, SPDX documents written and read. */

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "guest-image/dpkg.h"
#include "guest-image/json.h"
#include "guest-image/manifest.h"
#include "guest-image/spdx.h"

static char dir[] = "/tmp/test-manifest-XXXXXX";

static void put(const char *path, const char *text)
{
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

/* A program that says which packages are linked into it, and nothing else. */
static void put_program(const char *path)
{
        static const char list[] = "libx-dev|2.0-1|amd64|x 2.0-1\n";
        struct {
                Elf64_Ehdr head;
                Elf64_Phdr segment;
                Elf64_Nhdr note;
                char name[8];
                char list[sizeof(list) - 1];
        } file = {
                .head = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
                          .e_machine = EM_X86_64, .e_phoff = sizeof(Elf64_Ehdr), .e_phnum = 1,
                          .e_phentsize = sizeof(Elf64_Phdr) },
                .segment = { .p_type = PT_NOTE, .p_offset = offsetof(__typeof__(file), note) },
                .note = { .n_namesz = 5, .n_descsz = sizeof(file.list), .n_type = 1 },
                .name = "kata",
        };

        memcpy(file.list, list, sizeof(file.list));
        /* The note is padded, as all are. */
        file.segment.p_filesz = sizeof(file) - file.segment.p_offset;
        ASSERT_OK(write_file_atomic(path, (const char *) &file, sizeof(file), 0755));
}

static void make_root(void)
{
        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chdir(dir));
        ASSERT_OK(mkdir_p("var/lib/dpkg/info", 0755));
        ASSERT_OK(mkdir_p("usr/lib", 0755));
        put_program("agent");
        put("usr/lib/os-release", "NAME=x\nID=debian\n");
        put("var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib\n/lib/libc.so.6\n/usr/lib/libm.so.6\n");
        put("var/lib/dpkg/info/libstdc++6:amd64.list", "/.\n/usr/lib/libstdc++.so.6");
        put("var/lib/dpkg/info/dash.list", "/bin/dash\n/usr/lib/libm.so.6\n");
        put("var/lib/dpkg/info/dash.md5sums", "/usr/bin/false\n");
        put("var/lib/dpkg/status",
            "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 9\n\n"
            "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
            "Source: glibc (2.41-12)\nVersion: 2.41-12+deb13u1\nDescription: GNU\n Version: 7\n\n"
            "Package: dash\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 0\n\n"
            "Package: dash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:0.5~2\n\n"
            "Package: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\n"
            "Source: gcc-14\nVersion: 14.2\n");
}

static void remove_root(void)
{
        ASSERT_OK(chdir("/"));
        ASSERT_OK(rm_rf(dir));
        memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

TEST(owners)
{
        static const char *const paths[] = {
                "/usr/lib/libc.so.6", "/usr/lib/libm.so.6", "/usr/bin/dash", "/usr/bin/false", "/usr/lib",
                "/usr/lib/libstdc++.so.6", "/lib/libm.so.6",
        };
        _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
        _cleanup_free_ char *message = NULL;
        size_t owners[ELEMENTSOF(paths)];

        make_root();
        ASSERT_OK(dpkg_find_owners(dir, paths, ELEMENTSOF(paths), owners, &packages, NULL));
        ASSERT_EQ(packages.n, 3);
        ASSERT_STREQ(packages.v[owners[0]].name, "libc6");
        ASSERT_STREQ(packages.v[owners[0]].version, "2.41-12+deb13u1");
        ASSERT_STREQ(packages.v[owners[0]].source, "glibc 2.41-12");
        ASSERT_STREQ(packages.v[owners[0]].architecture, "amd64");
        /* Named by two packages: the list that comes first. */
        ASSERT_STREQ(packages.v[owners[1]].name, "dash");
        ASSERT_STREQ(packages.v[owners[1]].source, "dash 1:0.5~2");
        ASSERT_STREQ(packages.v[owners[1]].architecture, "amd64");
        ASSERT_EQ(owners[2], owners[1]);
        ASSERT_TRUE(owners[3] == SIZE_MAX);
        ASSERT_STREQ(packages.v[owners[4]].name, "libc6");      /* a directory, as /lib */
        ASSERT_STREQ(packages.v[owners[5]].source, "gcc-14 14.2");
        ASSERT_TRUE(owners[6] == SIZE_MAX);
        dpkg_packages_done(&packages);

        put("var/lib/dpkg/status", "Package: dash\nStatus: install ok installed\n");
        ASSERT_ERROR(dpkg_find_owners(dir, paths, 1, owners, &packages, &message), ENOENT);
        ASSERT_CONTAINS(message, "/var/lib/dpkg': 'status' has no installed package 'libc6'");

        ASSERT_OK(rm_rf("var"));
        ASSERT_OK(dpkg_find_owners(dir, paths, 1, owners, &packages, NULL));
        ASSERT_TRUE(owners[0] == SIZE_MAX);
        ASSERT_EQ(packages.n, 0);
        remove_root();
}

static char *make_manifest(void)
{
        TreeFile files[] = {
                { .path = (char *) "/etc", .mode = 0755 },
                { .path = (char *) "/etc/hosts", .source = (char *) "/dev/null", .mode = 0644 },
                { .path = (char *) "/sbin", .target = (char *) "usr/sbin", .mode = 0777 },
                { .path = (char *) "/usr/bin/kata-agent", .source = (char *) "agent", .mode = 0755,
                  .size = 1234, .project = true },
                { .path = (char *) "/usr/lib/libc.so.6", .source = (char *) "/x", .mode = 0644,
                  .size = 5, .digest = { 1, 2, 3 }, .sha1 = { 4, 5, 6 } },
                { .path = (char *) "/usr/lib/libm.so.6", .source = (char *) "/x", .mode = 0644 },
                { .path = (char *) "/usr/lib/mine.so", .source = (char *) "/x", .mode = 0644 },
        };
        const Tree tree = { .files = files, .n_files = ELEMENTSOF(files) };
        const ManifestOptions options = {
                .name = "kata-test-image", .root = dir, .created = 1704067200,
        };
        char *text;

        ASSERT_OK(manifest_make(&tree, &options, &text, NULL));
        return text;
}

static const SpdxFile *find_file(const SpdxDocument *d, const char *path)
{
        for (size_t i = 0; i < d->n_files; i++)
                if (streq(d->files[i].path, path))
                        return &d->files[i];
        TEST_FAIL("'%s' is not in the document", path);
}

TEST(document)
{
        _cleanup_(spdx_document_done) SpdxDocument d = {};
        _cleanup_free_ char *text = NULL, *again = NULL, *rewritten = NULL;
        const SpdxFile *f;

        make_root();
        text = make_manifest();
        again = make_manifest();
        ASSERT_STREQ(text, again);
        ASSERT_OK(spdx_parse(text, strlen(text), &d, NULL));
        ASSERT_OK(spdx_format(&d, &rewritten));
        ASSERT_STREQ(rewritten, text);

        ASSERT_STREQ(d.created, "2024-01-01T00:00:00Z");
        ASSERT_STREQ(d.tool, "kata-image-" PROJECT_VERSION);
        ASSERT_TRUE(startswith(d.name_space, "https://spdx.org/spdxdocs/kata-test-image-") != NULL);
        ASSERT_EQ(d.n_files, 6);
        ASSERT_EQ(d.n_packages, 6);
        ASSERT_STREQ(d.packages[5].name, "libx-dev");
        ASSERT_STREQ(d.packages[5].purl, "pkg:deb/debian/libx-dev@2.0-1?arch=amd64");
        ASSERT_STREQ(d.packages[0].name, "kata-test-image");
        ASSERT_EQ(find_file(&d, "/etc/hosts")->package, 0);

        f = find_file(&d, "/sbin");
        ASSERT_STREQ(f->target, "usr/sbin");
        f = find_file(&d, "/usr/bin/kata-agent");
        ASSERT_EQ(f->size, 1234);
        ASSERT_EQ(f->mode, 0755);
        ASSERT_STREQ(d.packages[f->package].name, "kata-systemd");
        ASSERT_STREQ(d.packages[f->package].version, PROJECT_VERSION);
        f = find_file(&d, "/usr/lib/libc.so.6");
        ASSERT_EQ(f->sha256[2], 3);
        ASSERT_STREQ(d.packages[f->package].purl, "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64");
        ASSERT_STREQ(d.packages[f->package].source, "glibc 2.41-12");
        f = find_file(&d, "/usr/lib/mine.so");
        ASSERT_STREQ(d.packages[f->package].name, "unpackaged");
        ASSERT_NULL(d.packages[f->package].version);
        remove_root();
}

static void need_text(json_object *o, const char *key)
{
        if (!json_get_text(o, key))
                TEST_FAIL("'%s' is missing in %s", key, json_object_to_json_string(o));
}

/* What the specification demands of a document; its own words for the keys. */
TEST(required_fields)
{
        static const char *const of_document[] = { "spdxVersion", "dataLicense", "SPDXID", "name",
                                                   "documentNamespace" };
        static const char *const of_package[] = { "SPDXID", "name", "downloadLocation" };
        static const char *const of_file[] = { "SPDXID", "fileName" };
        _cleanup_(json_object_putp) json_object *o = NULL;
        _cleanup_free_ char *text = NULL;
        json_object *list;

        make_root();
        text = make_manifest();
        ASSERT_OK(json_parse(text, strlen(text), 1U << 20, &o, NULL));
        for (size_t k = 0; k < ELEMENTSOF(of_document); k++)
                need_text(o, of_document[k]);
        ASSERT_STREQ(json_get_text(o, "dataLicense"), "CC0-1.0");
        need_text(json_get(o, "creationInfo", json_type_object), "created");

        list = ASSERT_NOT_NULL(json_get(o, "packages", json_type_array));
        ASSERT_STREQ(json_get_text(json_object_array_get_idx(list, 0), "primaryPackagePurpose"),
                     "OPERATING_SYSTEM");
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *p = json_object_array_get_idx(list, i);

                for (size_t k = 0; k < ELEMENTSOF(of_package); k++)
                        need_text(p, of_package[k]);
                /* filesAnalyzed demands it */
                need_text(json_get(p, "packageVerificationCode", json_type_object),
                          "packageVerificationCodeValue");
        }
        list = ASSERT_NOT_NULL(json_get(o, "files", json_type_array));
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *f = json_object_array_get_idx(list, i), *sums;

                for (size_t k = 0; k < ELEMENTSOF(of_file); k++)
                        need_text(f, of_file[k]);
                sums = ASSERT_NOT_NULL(json_get(f, "checksums", json_type_array));
                ASSERT_STREQ(json_get_text(json_object_array_get_idx(sums, 0), "algorithm"), "SHA1");
        }
        remove_root();
}

static void check_bad(const char *text, const char *from, const char *to, const char *part)
{
        _cleanup_(spdx_document_done) SpdxDocument d = {};
        _cleanup_free_ char *changed = NULL, *message = NULL;
        const char *at = ASSERT_NOT_NULL(strstr(text, from));

        ASSERT_TRUE(asprintf(&changed, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from)) > 0);
        ASSERT_TRUE(spdx_parse(changed, strlen(changed), &d, &message) < 0);
        ASSERT_CONTAINS(message, part);
}

TEST(bad_documents)
{
        _cleanup_free_ char *text = NULL, *deep = NULL;
        _cleanup_(spdx_document_done) SpdxDocument d = {};

        make_root();
        text = make_manifest();
        check_bad(text, "SPDX-2.3", "SPDX-3.0", "not an SPDX 2.3 document");
        check_bad(text, "{", "", "not JSON at byte");
        check_bad(text, "\n}", "\n} {}", "not JSON at byte");
        check_bad(text, "\"files\"", "\"filez\"", "'files' is not there");
        check_bad(text, "SPDXRef-Package-1\"", "SPDXRef-Package-7\"", "'packages' number 1");
        check_bad(text, "SPDXRef-File-2\"", "SPDXRef-File-x\"", "'files' number 2");
        check_bad(text, "\"./etc", "\"/etc", "'files' number 0");
        check_bad(text, "mode 0644, 0 bytes", "mode 0644, -1 bytes", "'files' number 0");
        check_bad(text, "symbolic link to usr/sbin", "symbolic link to ", "'files' number 1");
        check_bad(text, "\"SHA256\"", "\"MD5\"", "'files' number 0");
        check_bad(text, "\"CONTAINS\"", "\"AMENDS\"", "'relationships' number 1");
        check_bad(text, "\"relatedSpdxElement\":\"SPDXRef-File-5\"",
                  "\"relatedSpdxElement\":\"SPDXRef-File-6\"", "'relationships' number");
        check_bad(text, "\"relatedSpdxElement\":\"SPDXRef-File-5\"",
                  "\"relatedSpdxElement\":\"SPDXRef-File-4\"", "'relationships' number");

        deep = ASSERT_NOT_NULL(malloc(100001));
        memset(deep, '[', 100000);
        deep[100000] = '\0';
        ASSERT_TRUE(spdx_parse(deep, 100000, &d, NULL) < 0);
        ASSERT_TRUE(spdx_parse("", 0, &d, NULL) < 0);
        remove_root();
}

DEFINE_TEST_MAIN
