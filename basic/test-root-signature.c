/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of root hashes: against openssl(1) both ways, and everything that has to be refused. */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/root-signature.h"
#include "basic/test-keys.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_HASH "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char dir[] = "/tmp/test-root-signature-XXXXXX";

static void enter_directory(void)
{
        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chdir(dir));
}

static void leave_directory(void)
{
        ASSERT_OK(chdir("/"));
        ASSERT_OK(rm_rf(dir));
        memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

/* 127: there is no openssl(1). */
static int openssl(const char *const *argv)
{
        pid_t pid = ASSERT_OK(fork());
        int status;

        if (pid == 0) {
                execvp("openssl", (char *const *) argv);
                _exit(127);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void write_text(const char *path, const void *text, size_t n)
{
        ASSERT_OK(write_file_atomic(path, text, n, 0600));
}

TEST(own)
{
        _cleanup_(root_signer_done) RootSigner made = {}, found = {}, described = {};
        _cleanup_free_ uint8_t *der = NULL;
        size_t n;

        enter_directory();
        make_test_keys(".", "one", false);
        ASSERT_OK(root_signature_make(HASH, "one.key", "one.crt", &der, &n, &made, NULL));
        write_text("sig", der, n);
        ASSERT_OK(root_signature_verify_files(HASH, "sig", "one.crt", &found, NULL));
        ASSERT_STREQ(found.subject, "CN=one");
        ASSERT_STREQ(found.fingerprint, made.fingerprint);
        ASSERT_EQ(strlen(found.fingerprint), 64);

        ASSERT_OK(root_signature_describe(der, n, &described, NULL));
        ASSERT_STREQ(described.subject, "issuer CN=one, serial 1234");
        ASSERT_NULL(described.fingerprint);
        leave_directory();
}

static void check_refused(const char *hash, const char *signature, const char *certificate,
                          const char *part)
{
        _cleanup_free_ char *message = NULL;

        ASSERT_TRUE(root_signature_verify_files(hash, signature, certificate, NULL, &message) < 0);
        ASSERT_CONTAINS(message, part);
        ASSERT_NULL(strchr(message, '\n'));
}

TEST(refused)
{
        _cleanup_free_ uint8_t *der = NULL;
        _cleanup_free_ char *one = NULL, *two = NULL, *both = NULL, *message = NULL;
        size_t n;

        enter_directory();
        make_test_keys(".", "one", false);
        make_test_keys(".", "two", false);
        ASSERT_OK(root_signature_make(HASH, "one.key", "one.crt", &der, &n, NULL, NULL));
        write_text("sig", der, n);

        check_refused(OTHER_HASH, "sig", "one.crt", "'sig': the signature is not one of root hash 10");
        check_refused(HASH, "sig", "two.crt", "'sig': signed by a certificate that is not trusted");
        check_refused(HASH, "none", "one.crt", "signature 'none' can not be read: No such file");
        check_refused(HASH, "sig", "none", "certificate 'none' can not be read: No such file");
        check_refused(HASH, "sig", "sig", "certificate 'sig': no PEM certificate");
        check_refused(HASH, "sig", "one.key", "certificate 'one.key': no PEM certificate");
        check_refused(HASH, "one.crt", "one.crt", "'one.crt': not a PKCS#7 message in DER form");

        /* Any of several is enough; a broken one beside it is an error. */
        ASSERT_OK(read_file_at(AT_FDCWD, "one.crt", 65536, &one, NULL));
        ASSERT_OK(read_file_at(AT_FDCWD, "two.crt", 65536, &two, NULL));
        ASSERT_TRUE(asprintf(&both, "# trusted\n%s%s", two, one) > 0);
        write_text("both", both, strlen(both));
        ASSERT_OK(root_signature_verify_files(HASH, "sig", "both", NULL, NULL));
        both[strlen(both) - 40] = '!';
        write_text("both", both, strlen(both));
        check_refused(HASH, "sig", "both", "certificate 'both': not a PEM certificate");

        /* The last byte is one of the signature itself; a byte behind it is no DER. */
        der[n - 1] ^= 1;
        write_text("sig", der, n);
        check_refused(HASH, "sig", "one.crt", "the signature is not one of root hash");
        der[n - 1] ^= 1;
        write_text("sig", der, n - 1);
        check_refused(HASH, "sig", "one.crt", "not a PKCS#7 message");
        _cleanup_free_ uint8_t *longer = calloc(1, n + 1);
        memcpy(ASSERT_NOT_NULL(longer), der, n);
        write_text("sig", longer, n + 1);
        check_refused(HASH, "sig", "one.crt", "not a PKCS#7 message");

        ASSERT_ERROR(root_signature_make(HASH, "one.key", "two.crt", &der, &n, NULL, &message), EINVAL);
        ASSERT_CONTAINS(message, "private key 'one.key' does not belong to certificate 'two.crt'");
        ASSERT_TRUE(root_signature_make(HASH, "no.key", "two.crt", &der, &n, NULL, &message) < 0);
        ASSERT_CONTAINS(message, "private key 'no.key' can not be read: No such file");
        ASSERT_TRUE(root_signature_make(HASH, "one.crt", "two.crt", &der, &n, NULL, &message) < 0);
        ASSERT_CONTAINS(message, "private key 'one.crt' is not one in PEM form");
        leave_directory();
}

/* RSA without signed attributes has one result only, so the bytes have to be equal. */
TEST(same_as_openssl)
{
        static const char *const sign[] = {
                "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-in", "hash", "-inkey",
                "rsa.key", "-signer", "rsa.crt", "-outform", "der", "-out", "theirs", NULL,
        };
        static const char *const verify[] = {
                "openssl", "smime", "-verify", "-binary", "-inform", "der", "-in", "ours", "-content",
                "hash", "-certfile", "rsa.crt", "-nointern", "-noverify", "-out", "/dev/null", NULL,
        };
        static const char *const sha1[] = {
                "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-md", "sha1", "-in",
                "hash", "-inkey", "rsa.key", "-signer", "rsa.crt", "-outform", "der", "-out", "weak",
                NULL,
        };
        static const char *const attached[] = {
                "openssl", "smime", "-sign", "-nodetach", "-nocerts", "-noattr", "-binary", "-in", "hash",
                "-inkey", "rsa.key", "-signer", "rsa.crt", "-outform", "der", "-out", "attached", NULL,
        };
        _cleanup_free_ uint8_t *der = NULL;
        _cleanup_free_ char *theirs = NULL;
        size_t n, n_theirs;
        int status;

        enter_directory();
        make_test_keys(".", "rsa", true);
        write_text("hash", HASH, strlen(HASH));
        ASSERT_OK(root_signature_make(HASH, "rsa.key", "rsa.crt", &der, &n, NULL, NULL));
        write_text("ours", der, n);

        status = openssl(sign);
        if (status == 127)
                fputs("no openssl(1) here, not compared\n", stderr);
        else {
                ASSERT_EQ(status, 0);
                ASSERT_OK(read_file_at(AT_FDCWD, "theirs", 65536, &theirs, &n_theirs));
                ASSERT_EQ(n, n_theirs);
                ASSERT_EQ(memcmp(der, theirs, n), 0);
                ASSERT_OK(root_signature_verify_files(HASH, "theirs", "rsa.crt", NULL, NULL));
                ASSERT_EQ(openssl(verify), 0);

                ASSERT_EQ(openssl(sha1), 0);
                check_refused(HASH, "weak", "rsa.crt", "rests on a digest other than");
                ASSERT_EQ(openssl(attached), 0);
                check_refused(HASH, "attached", "rsa.crt", "not a detached signature");
        }
        leave_directory();
}

DEFINE_TEST_MAIN
