/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole builds, with /bin/true as the agent, as whoever runs the test: the same bytes in two directories
 * at two times, and a signature that fits. Needs mkfs.erofs.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/test-keys.h"
#include "guest-image/build.h"
#include "guest-image/report.h"
#include "guest-image/verity.h"

static char dir[] = "/tmp/test-build-XXXXXX";

static void enter_directory(void)
{
        log_set_max_level(LOG_WARNING);
        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chdir(dir));
}

static void leave_directory(void)
{
        ASSERT_OK(chdir("/"));
        ASSERT_OK(rm_rf(dir));
        memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

static void build(const BuildOptions *options)
{
        _cleanup_free_ char *message = NULL;

        if (image_build(options, &message) < 0)
                TEST_FAIL("%s", message);
}

static void check_same(const char *name)
{
        _cleanup_free_ char *a = NULL, *b = NULL, *text_a = NULL, *text_b = NULL;
        size_t na, nb;

        ASSERT_TRUE(asprintf(&a, "a/%s", name) > 0 && asprintf(&b, "deep/er/b/%s", name) > 0);
        ASSERT_OK(read_file_at(AT_FDCWD, a, 1U << 26, &text_a, &na));
        ASSERT_OK(read_file_at(AT_FDCWD, b, 1U << 26, &text_b, &nb));
        if (na != nb || memcmp(text_a, text_b, na) != 0)
                TEST_FAIL("'%s' differs", name);
}

TEST(same_bytes)
{
        BuildOptions options = { .root = "/", .agent = "/bin/true", .output_dir = "a", .name = "guest" };
        const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
        _cleanup_free_ char *program = NULL;
        size_t n;

        enter_directory();
        build(&options);

        /* A copy with another name, mode and time, and another mask. */
        ASSERT_OK(read_file_at(AT_FDCWD, "/bin/true", 1U << 24, &program, &n));
        ASSERT_OK(write_file_atomic("copy", program, n, 0700));
        ASSERT_OK(utimensat(AT_FDCWD, "copy", old, 0));
        umask(0077);
        options.agent = "./copy";
        options.output_dir = "deep/er/b";
        build(&options);

        check_same("guest.img");
        check_same("guest.params");
        check_same("guest.spdx.json");
        ASSERT_TRUE(access("a/guest.roothash.p7s", F_OK) < 0);

        /* Another time is another image. */
        options.timestamp = 1500000000;
        options.output_dir = "a";
        build(&options);
        {
                _cleanup_free_ char *a = NULL, *b = NULL;

                ASSERT_OK(read_file_at(AT_FDCWD, "a/guest.params", 65536, &a, NULL));
                ASSERT_OK(read_file_at(AT_FDCWD, "deep/er/b/guest.params", 65536, &b, NULL));
                ASSERT_TRUE(strcmp(a, b) != 0);
        }
        leave_directory();
}

static int load(const char *image, const char *certificate, ImageReport *ret, char **ret_message)
{
        _cleanup_(image_files_done) ImageFiles files = {
                .image = strdup(image), .certificate = certificate ? strdup(certificate) : NULL,
        };
        VerityResult result;
        int r;

        ASSERT_OK(image_files_complete(&files));
        r = image_report_load(&files, ret, ret_message);
        if (r >= 0) {
                ASSERT_OK(verity_check(image, &ret->params, &result, NULL));
                ASSERT_EQ(result.place, VERITY_OK);
        }
        return r;
}

TEST(with_signature)
{
        BuildOptions options = {
                .root = "/", .agent = "/bin/true", .output_dir = "a", .name = "guest",
                .private_key = "image.key", .certificate = "image.crt",
        };
        _cleanup_(image_report_done) ImageReport report = {}, plain = {};
        _cleanup_free_ char *message = NULL;
        bool found = false;

        enter_directory();
        make_test_keys(".", "image", false);
        make_test_keys(".", "other", false);
        build(&options);
        if (load("a/guest.img", "image.crt", &report, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_EQ(report.signature, SIGNATURE_VALID);
        ASSERT_TRUE(report.signature_in_image);
        ASSERT_TRUE(report.params.image_size <= 12 << 20);
        for (size_t i = 0; i < report.manifest.n_files; i++)
                found = found || streq(report.manifest.files[i].path, "/usr/bin/kata-agent");
        ASSERT_TRUE(found);

        ASSERT_TRUE(load("a/guest.img", "other.crt", &plain, &message) < 0);
        ASSERT_CONTAINS(message, "signed by a certificate that is not trusted");

        /* The signature does not outlive the image that it is one of. */
        options.private_key = options.certificate = NULL;
        build(&options);
        ASSERT_TRUE(access("a/guest.roothash.p7s", F_OK) < 0);
        ASSERT_OK(load("a/guest.img", NULL, &plain, NULL));
        ASSERT_EQ(plain.signature, SIGNATURE_NONE);
        leave_directory();
}

TEST(refused)
{
        BuildOptions options = { .root = "/", .agent = "/bin/true", .output_dir = "a", .name = "guest",
                                 .certificate = "image.crt" };
        _cleanup_free_ char *message = NULL;

        enter_directory();
        ASSERT_ERROR(image_build(&options, &message), EINVAL);
        ASSERT_CONTAINS(message, "needs both private key and certificate");
        options.certificate = NULL;
        options.agent = "/no/such/agent";
        ASSERT_ERROR(image_build(&options, &message), ENOENT);
        ASSERT_CONTAINS(message, "'/no/such/agent' can not be read");
        options.agent = "/etc/passwd";
        ASSERT_ERROR(image_build(&options, &message), EINVAL);
        ASSERT_CONTAINS(message, "'/etc/passwd' is not a 64-bit ELF program");
        leave_directory();
}

TestCase *test_cases;

int main(int argc, char *argv[])
{
        if (access("/usr/bin/mkfs.erofs", X_OK) < 0) {
                fputs("mkfs.erofs is not installed\n", stderr);
                return 77;
        }
        for (TestCase *t = test_cases; t; t = t->next) {
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
        return 0;
}
