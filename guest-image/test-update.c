/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs, kernel descriptions, PVH notes, patches on a source: without root, apt and a service manager. */

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/elf-note.h"
#include "guest-image/pair.h"
#include "guest-image/run.h"
#include "guest-image/source.h"

static void drop_dir(char **dir)
{
        (void) rm_rf(*dir);
        free(*dir);
}

static char *make_dir(void)
{
        char *dir = strdup("/tmp/test-update-XXXXXX");

        ASSERT_NOT_NULL(dir);
        ASSERT_NOT_NULL(mkdtemp(dir));
        return dir;
}

#define _cleanup_dir_ _cleanup_(drop_dir)

static void put_bytes(const char *dir, const char *name, const void *data, size_t n)
{
        _cleanup_free_ char *path = NULL, *parent = NULL;

        ASSERT_TRUE(asprintf(&path, "%s/%s", dir, name) > 0);
        parent = ASSERT_NOT_NULL(strdup(path));
        *strrchr(parent, '/') = '\0';
        ASSERT_OK(mkdir_p(parent, 0755));
        ASSERT_OK(write_file_atomic(path, data, n, 0644));
}

static void put(const char *dir, const char *name, const char *text)
{
        put_bytes(dir, name, text, strlen(text));
}

/* The smallest file with a note of that type. */
static size_t make_elf(uint8_t *buf, uint32_t type)
{
        const Elf64_Nhdr note = { .n_namesz = 4, .n_descsz = 4, .n_type = type };
        Elf64_Ehdr e = {
                .e_machine = EM_X86_64,
                .e_phoff = sizeof(Elf64_Ehdr),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 1,
        };
        Elf64_Phdr h = { .p_type = PT_NOTE, .p_offset = sizeof(e) + sizeof(h), .p_filesz = sizeof(note) + 8 };
        size_t n = 0;

        memcpy(e.e_ident, ELFMAG, SELFMAG);
        e.e_ident[EI_CLASS] = ELFCLASS64;
        e.e_ident[EI_DATA] = ELFDATA2LSB;
        memcpy(buf, &e, sizeof(e));
        n += sizeof(e);
        memcpy(buf + n, &h, sizeof(h));
        n += sizeof(h);
        memcpy(buf + n, &note, sizeof(note));
        n += sizeof(note);
        memcpy(buf + n, "Xen\0\0\0\0\1", 8);
        return n + 8;
}

TEST(pvh_notes)
{
        uint8_t buf[256];
        size_t n = make_elf(buf, 18);

        ASSERT_TRUE(elf_has_pvh_note(buf, n));
        for (size_t i = 0; i < n; i++)
                ASSERT_FALSE(elf_has_pvh_note(buf, i));
        n = make_elf(buf, 17);
        ASSERT_FALSE(elf_has_pvh_note(buf, n));
        n = make_elf(buf, 18);
        buf[EI_CLASS] = ELFCLASS32;
        ASSERT_FALSE(elf_has_pvh_note(buf, n));
}

TEST(kernel_infos)
{
        static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        static const struct {
                const char *release, *source, *more, *message;
        } bad[] = {
                { "6.12.57 x", "unpackaged", "", "x:1: value of 'kernel_release' is malformed" },
                { "../x", "unpackaged", "", "x:1: value of 'kernel_release' is malformed" },
                { "6.12.57", "linux", "", "x:2: value of 'source_package' is malformed" },
                { "6.12.57", "linux 6 7", "", "x:2: value of 'source_package' is malformed" },
                { "6.12.57", "linux 6.1", "kernel_release=1\n", "x:4: repeated key 'kernel_release'" },
                { "6.12.57", "linux 6.1", "words\n", "x:4: not a key=value line" },
        };
        _cleanup_(kernel_info_done) KernelInfo info = {};
        _cleanup_dir_ char *dir = make_dir();
        _cleanup_free_ char *text = NULL, *message = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *t = NULL, *m = NULL;

                ASSERT_TRUE(asprintf(&t, "kernel_release=%s\nsource_package=%s\nvmlinux_sha256=%s\n%s",
                                     bad[i].release, bad[i].source, hex, bad[i].more) > 0);
                ASSERT_ERROR(kernel_info_parse("x", t, strlen(t), &info, &m), EBADMSG);
                ASSERT_STREQ(m, bad[i].message);
        }
        ASSERT_ERROR(kernel_info_parse("x", "", 0, &info, &message), EBADMSG);
        ASSERT_CONTAINS(message, "key 'kernel_release' is missing");

        ASSERT_TRUE(asprintf(&text, "# text\nkernel_release=6.12.57-kata\nsource_package=unpackaged\n"
                             "other=1\nvmlinux_sha256=%s\n", hex) > 0);
        put(dir, "vmlinux.info", text);
        ASSERT_OK(kernel_info_read(dir, &info, NULL));
        ASSERT_STREQ(info.release, "6.12.57-kata");
        ASSERT_NULL(info.package);
        kernel_info_done(&info);

        ASSERT_OK(kernel_info_set_source(dir, "linux-source-6.12", "6.12.57-1~deb12u1", NULL));
        ASSERT_OK(kernel_info_read(dir, &info, NULL));
        ASSERT_STREQ(info.package, "linux-source-6.12");
        ASSERT_STREQ(info.version, "6.12.57-1~deb12u1");
        ASSERT_STREQ(info.release, "6.12.57-kata");
}

static void make_pair(const char *dir, const char *release, uint32_t note)
{
        _cleanup_free_ char *hex = NULL, *info = NULL;
        uint8_t elf[256], digest[DIGEST_SIZE];
        size_t n = make_elf(elf, note);

        ASSERT_OK(digest_buffer(elf, n, digest));
        hex = hex_encode(digest, sizeof(digest));
        ASSERT_TRUE(asprintf(&info, "kernel_release=%s\nsource_package=unpackaged\nvmlinux_sha256=%s\n",
                             release, hex) > 0);
        put_bytes(dir, "vmlinux", elf, n);
        put(dir, "vmlinux.info", info);
        put(dir, "guest.img", "image");
        put(dir, "guest.params", "parameters");
        put(dir, "README", "does not belong");
}

TEST(pairs)
{
        _cleanup_dir_ char *a = make_dir(), *b = make_dir();
        _cleanup_(pair_done) Pair first = {}, copy = {}, other = {};
        _cleanup_free_ char *to = NULL, *message = NULL, *link = NULL;

        ASSERT_ERROR(pair_read(a, &first, &message), ENOENT);
        ASSERT_CONTAINS(message, "has no guest.img: it is not a pair");
        make_pair(a, "6.12.57-kata", 18);
        ASSERT_OK(pair_read(a, &first, NULL));
        ASSERT_EQ(first.files.n, 4);
        ASSERT_CONTAINS(first.version, "6.12.57-kata-");
        ASSERT_EQ(strlen(first.version), strlen("6.12.57-kata-") + 8);

        ASSERT_TRUE(asprintf(&to, "%s/copy", b) > 0);
        ASSERT_OK(pair_copy(&first, to, NULL));
        ASSERT_OK(pair_read(to, &copy, NULL));
        ASSERT_STREQ(copy.version, first.version);
        ASSERT_ERROR(pair_copy(&first, to, NULL), EEXIST);

        /* Another content is another version. */
        put(a, "guest.img", "Image");
        ASSERT_OK(pair_read(a, &other, NULL));
        ASSERT_TRUE(!streq(other.version, first.version));

        /* Only files, whoever may have put something else there. */
        ASSERT_TRUE(asprintf(&link, "%s/guest.link", a) > 0);
        ASSERT_OK(symlink("/etc/passwd", link));
        pair_done(&other);
        ASSERT_ERROR(pair_read(a, &other, &message), ELOOP);
        ASSERT_CONTAINS(message, "guest.link' can not be read");
        ASSERT_OK(unlink(link));
        ASSERT_OK(mkfifo(link, 0644));
        ASSERT_ERROR(pair_read(a, &other, &message), EINVAL);
        ASSERT_CONTAINS(message, "guest.link' is not a regular file");
}

TEST(pairs_with_bad_kernels)
{
        _cleanup_dir_ char *dir = make_dir();
        _cleanup_(pair_done) Pair pair = {};
        _cleanup_free_ char *message = NULL;

        make_pair(dir, "6.12.57-kata", 1);
        ASSERT_OK(pair_read(dir, &pair, NULL));
        ASSERT_ERROR(pair_verify(&pair, &message), ENOEXEC);
        ASSERT_CONTAINS(message, "not an ELF kernel with a PVH entry point");

        put(dir, "vmlinux", "\177ELF");
        ASSERT_ERROR(pair_verify(&pair, &message), EBADMSG);
        ASSERT_CONTAINS(message, "does not have the checksum of vmlinux.info");
}

TEST(candidates)
{
        static const struct {
                const char *text, *version;
        } cases[] = {
                { "linux-source-6.12:\n  Installed: 6.12.1-1\n  Candidate: 6.12.57-1~bpo12+1\n  Version table:\n",
                  "6.12.57-1~bpo12+1" },
                { "x:\n  Installed: (none)\n  Candidate: (none)\n", NULL },
                { "", NULL },
                { "  Candidate:", NULL },
                { "  Candidate: ../x\n", NULL },
                { "  Candidate: 1\033[1m\n", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *version = NULL;

                ASSERT_OK(policy_candidate(cases[i].text, &version));
                if (cases[i].version)
                        ASSERT_STREQ(version, cases[i].version);
                else
                        ASSERT_NULL(version);
        }
}

#define HUNK(path, from, to)                                                                       \
        "--- a/" path "\n+++ b/" path "\n@@ -1,3 +1,3 @@\n one\n-" from "\n+" to "\n three\n"

TEST(files_of_patches)
{
        static const char *const bad[] = { "--- a/../x\n+++ b/x\n", "--- /etc/x\n+++ b/x\n",
                                           "--- a/x\n+++ b/y/..\n", "--- a/x\n+++ b\n",
                                           "--- ../x\n+++ b/x\n", "--- a//x\n+++ b/x\n" };
        _cleanup_(strv_done) Strv files = {};
        _cleanup_free_ char *joined = NULL;

        ASSERT_OK(patch_files("p", "Why.\n--- \n a | 2\n" HUNK("k/a.c", "two", "2") HUNK("k/b.c", "x", "y")
                              "--- /dev/null\n+++ b/k/new.c\t2024\n@@ -0,0 +1 @@\n+new\n"
                              HUNK("k/a.c", "2", "3") "---\n2.40\n", &files, NULL));
        joined = strv_join(&files, " ");
        ASSERT_STREQ(joined, "k/a.c k/b.c k/new.c");

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *message = NULL;

                ASSERT_ERROR(patch_files("p", bad[i], &files, &message), EBADMSG);
                ASSERT_CONTAINS(message, "p: changes '");
        }
}

static bool have(const char *program)
{
        return access(program, X_OK) >= 0;
}

static void make_tarball(const char *dir)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .dir = dir, .max = 4096 };

        put(dir, "linux-source-6.12/k/a.c", "one\ntwo\nthree\n");
        put(dir, "linux-source-6.12/k/b.c", "one\ntwo\nthree\n");
        put(dir, "linux-source-6.12/Makefile", "VERSION = 6\nPATCHLEVEL = 12\n");
        ASSERT_OK(strv_add_many(&argv, "tar", "-cf", "source.tar", "linux-source-6.12", NULL));
        ASSERT_OK(run_program(&options, NULL, NULL, NULL, NULL));
}

static int try_series(const char *dir, char **ret_patch, char **ret_reason, char **reterr_message)
{
        _cleanup_free_ char *patches = NULL, *tarball = NULL, *scratch = NULL;

        ASSERT_TRUE(asprintf(&patches, "%s/patches", dir) > 0);
        ASSERT_TRUE(asprintf(&tarball, "%s/source.tar", dir) > 0);
        ASSERT_TRUE(asprintf(&scratch, "%s/scratch", dir) > 0);
        ASSERT_OK(rm_rf(scratch));
        ASSERT_OK(mkdir(scratch, 0755));
        return patches_try(patches, "linux-source-6.12", tarball, scratch, ret_patch, ret_reason,
                           reterr_message);
}

TEST(series)
{
        _cleanup_free_ char *patch = NULL, *reason = NULL, *message = NULL;
        _cleanup_dir_ char *dir = make_dir();

        if (!have("/usr/bin/tar") || !have("/usr/bin/patch")) {
                fprintf(stderr, "skipped: tar or patch is not installed\n");
                return;
        }

        make_tarball(dir);
        ASSERT_OK(try_series(dir, &patch, &reason, &message));

        put(dir, "patches/0001-a.patch", "Why.\n" HUNK("k/a.c", "two", "2"));
        put(dir, "patches/0002-builds-on-it.patch", HUNK("k/a.c", "2", "second"));
        put(dir, "patches/0003-new-file.patch", "--- /dev/null\n+++ b/k/new.c\n@@ -0,0 +1 @@\n+new\n");
        put(dir, "patches/README", "no patch");
        ASSERT_EQ(try_series(dir, &patch, &reason, &message), 0);

        put(dir, "patches/0004-too-late.patch", HUNK("k/a.c", "two", "2"));
        ASSERT_EQ(try_series(dir, &patch, &reason, &message), 1);
        ASSERT_STREQ(patch, "0004-too-late.patch");
        ASSERT_CONTAINS(reason, "FAILED");
        ASSERT_NULL(strchr(reason, '\n'));
        patch = mfree(patch);
        reason = mfree(reason);

        /* A file that the new source does not have any more. */
        put(dir, "patches/0004-too-late.patch", HUNK("k/gone.c", "two", "2"));
        ASSERT_EQ(try_series(dir, &patch, &reason, &message), 1);
        ASSERT_STREQ(patch, "0004-too-late.patch");
        patch = mfree(patch);
        reason = mfree(reason);

        /* What is no source is not said to be the patch's fault. */
        put(dir, "source.tar", "no archive, but long enough to be looked at as one .................");
        ASSERT_ERROR(try_series(dir, &patch, &reason, &message), EIO);
        ASSERT_CONTAINS(message, "source.tar' can not be unpacked");
}

TEST(programs)
{
        _cleanup_(strv_done) Strv argv = {};
        RunOptions options = { .argv = &argv, .max = 4096 };
        _cleanup_free_ char *out = NULL, *complaint = NULL, *message = NULL;
        int status;

        ASSERT_OK(strv_add_many(&argv, "sh", "-c", "echo out; echo '<3>one' >&2; echo two >&2; exit 3", NULL));
        ASSERT_ERROR(run_program(&options, &out, NULL, NULL, &message), EIO);
        ASSERT_STREQ(message, "'sh' failed (exit status 3): one two");
        ASSERT_OK(run_program(&options, &out, &status, &complaint, NULL));
        ASSERT_EQ(status, 3);
        ASSERT_STREQ(out, "out\n");
        ASSERT_STREQ(complaint, "one two");

        free(argv.v[2]);
        argv.v[2] = strdup("sleep 1000");
        options.timeout = 50 * USEC_PER_MSEC;
        ASSERT_ERROR(run_program(&options, NULL, NULL, NULL, NULL), ETIMEDOUT);

        free(argv.v[0]);
        argv.v[0] = strdup("no-such-program-here");
        options.timeout = 0;
        ASSERT_ERROR(run_program(&options, NULL, &status, NULL, &message), EIO);
        ASSERT_CONTAINS(message, "No such file or directory");
}

DEFINE_TEST_MAIN
