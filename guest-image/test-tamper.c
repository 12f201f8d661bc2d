/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed image as kata-image makes it, but for the file system, which is a superblock and filler: each
 * part of it is changed in turn and has to be refused with the reason.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test-keys.h"
#include "guest-image/build.h"
#include "guest-image/manifest.h"
#include "guest-image/report.h"
#include "guest-image/verity.h"

#define BLOCKS 300U
#define ROOT_OFFSET 20480U

static char dir[] = "/tmp/test-tamper-XXXXXX";
static GuestParams params;

static void write_manifest(char **ret)
{
        SpdxPackage package = { .name = (char *) "test" };
        const SpdxDocument d = {
                .name = (char *) "test", .tool = (char *) "test", .created = (char *) "now",
                .packages = &package, .n_packages = 1,
        };

        ASSERT_OK(spdx_format(&d, ret));
        ASSERT_OK(write_file_atomic("guest.spdx.json", *ret, strlen(*ret), 0644));
}

static void write_filesystem(const char *manifest)
{
        uint8_t *data = ASSERT_NOT_NULL(calloc(BLOCKS, VERITY_BLOCK_SIZE));
        Guid uuid;

        for (unsigned i = 0; i < BLOCKS; i++)
                memset(data + i * VERITY_BLOCK_SIZE, (int) i, 1024);
        memcpy(data + 1024, "\xe2\xe1\xf5\xe0", 4);
        ASSERT_OK(manifest_uuid(manifest, strlen(manifest), &uuid));
        memcpy(data + 1024 + 48, uuid.bytes, 16);
        ASSERT_OK(write_file_atomic("range", data, BLOCKS * VERITY_BLOCK_SIZE, 0644));
        free(data);
}

static void write_params(const GuestParams *p)
{
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(guest_params_format(p, &text));
        ASSERT_OK(write_file_atomic("guest.params", text, strlen(text), 0644));
}

static void make_image(void)
{
        _cleanup_(root_signer_done) RootSigner signer = {};
        _cleanup_free_ char *manifest = NULL, *json = NULL, *hex = NULL;
        _cleanup_free_ uint8_t *der = NULL;
        GuestParams range;
        size_t n;

        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chdir(dir));
        make_test_keys(".", "trusted", false);
        make_test_keys(".", "other", false);
        write_manifest(&manifest);
        write_filesystem(manifest);
        ASSERT_OK(verity_append("range", &range, NULL));
        hex = hex_encode(range.root_hash, VERITY_DIGEST_SIZE);
        ASSERT_OK(root_signature_make(hex, "trusted.key", "trusted.crt", &der, &n, &signer, NULL));
        ASSERT_OK(write_file_atomic("guest.roothash.p7s", der, n, 0644));
        ASSERT_OK(signature_json_format(hex, signer.fingerprint, der, n, &json));
        ASSERT_OK(layout_write("range", &range, json, "guest.img", &params, NULL));
        ASSERT_OK(digest_buffer(manifest, strlen(manifest), params.manifest_sha256));
        params.has_manifest = true;
        write_params(&params);
}

static void remove_image(void)
{
        ASSERT_OK(chdir("/"));
        ASSERT_OK(rm_rf(dir));
        memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
        params = (GuestParams) {};
}

/* What kata-image verify does; the reason is in *ret_message when it is refused. */
static int verify(const char *certificate, ImageReport *ret, char **ret_message)
{
        _cleanup_(image_files_done) ImageFiles files = {
                .image = strdup("guest.img"),
                .certificate = certificate ? strdup(certificate) : NULL,
        };
        VerityResult result;
        int r;

        ASSERT_OK(image_files_complete(&files));
        r = image_report_load(&files, ret, ret_message);
        if (r >= 0)
                r = verity_check("guest.img", &ret->params, &result, ret_message);
        if (r >= 0 && result.place != VERITY_OK) {
                ASSERT_TRUE(asprintf(ret_message, "bad place %d", result.place) > 0);
                r = -EBADMSG;
        }
        return r;
}

static void check_refused(const char *part)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_free_ char *message = NULL;

        if (verify("trusted.crt", &report, &message) >= 0)
                TEST_FAIL("was not refused: %s", part);
        ASSERT_CONTAINS(message, part);
}

static void check_accepted(void)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_free_ char *message = NULL;

        if (verify("trusted.crt", &report, &message) < 0)
                TEST_FAIL("%s", message);
}

static void flip(const char *path, uint64_t offset)
{
        int fd = ASSERT_OK(open(path, O_RDWR | O_CLOEXEC));
        uint8_t b;

        ASSERT_EQ(pread(fd, &b, 1, (off_t) offset), 1);
        b ^= 0x01;
        ASSERT_EQ(pwrite(fd, &b, 1, (off_t) offset), 1);
        close(fd);
}

static void check_flip(const char *path, uint64_t offset, const char *part)
{
        flip(path, offset);
        check_refused(part);
        flip(path, offset);
        check_accepted();
}

TEST(intact)
{
        _cleanup_(image_report_done) ImageReport report = {}, unchecked = {};
        _cleanup_free_ char *message = NULL;

        make_image();
        ASSERT_EQ(params.root_offset, ROOT_OFFSET);
        ASSERT_EQ(params.hash_offset, (BLOCKS + 1) * VERITY_BLOCK_SIZE);
        ASSERT_OK(verify("trusted.crt", &report, &message));
        ASSERT_EQ(report.signature, SIGNATURE_VALID);
        ASSERT_TRUE(report.signature_in_image);
        ASSERT_STREQ(report.signer.subject, "CN=trusted");
        ASSERT_EQ(report.gpt.n_partitions, 3);
        ASSERT_EQ(report.gpt.partitions[0].uuid.bytes[0], report.params.root_hash[0]);
        ASSERT_EQ(report.gpt.partitions[1].uuid.bytes[15], report.params.root_hash[31]);

        ASSERT_OK(verify(NULL, &unchecked, &message));
        ASSERT_EQ(unchecked.signature, SIGNATURE_UNCHECKED);
        ASSERT_STREQ(unchecked.signer.fingerprint, report.signer.fingerprint);
        remove_image();
}

TEST(data)
{
        make_image();
        check_flip("guest.img", ROOT_OFFSET + 299 * VERITY_BLOCK_SIZE, "bad place 3");
        check_flip("guest.img", ROOT_OFFSET + 4095, "bad place 3");
        remove_image();
}

TEST(hash_tree)
{
        make_image();
        check_flip("guest.img", params.root_offset + params.hash_offset, "bad place 1");
        check_flip("guest.img", params.root_offset + params.hash_offset + 4096 + 17, "bad place 2");
        remove_image();
}

TEST(superblock)
{
        make_image();
        check_flip("guest.img", params.root_offset + params.hash_offset - 4096,
                   "'guest.img': dm-verity superblock does not agree with the parameters: signature");
        check_flip("guest.img", params.root_offset + params.hash_offset - 4096 + 90, "parameters: salt");
        remove_image();
}

TEST(partition_table)
{
        make_image();
        check_flip("guest.img", 512 + 24, "partition table of 'guest.img': checksum of the primary");
        check_flip("guest.img", 1024 + 56, "checksum of the primary entries");
        check_flip("guest.img", params.image_size - 512 + 24, "checksum of the backup header");
        check_flip("guest.img", params.image_size - 33 * 512, "checksum of the backup entries");
        check_flip("guest.img", 450, "protective MBR is damaged");

        ASSERT_OK(truncate("guest.img", (off_t) params.image_size + 512));
        check_refused("'guest.img' has ");
        remove_image();
}

/* A table that is good for itself, but of another image. */
TEST(layout)
{
        uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];
        Gpt gpt, good;
        int fd;

        make_image();
        fd = ASSERT_OK(open("guest.img", O_RDWR | O_CLOEXEC));
        ASSERT_OK(gpt_read(fd, &good, NULL));
#define CHECK_TABLE(change, part)                                                                  \
        ({                                                                                         \
                gpt = good;                                                                        \
                change;                                                                            \
                ASSERT_OK(gpt_format(&gpt, head, tail));                                           \
                ASSERT_EQ(pwrite(fd, head, sizeof(head), 0), sizeof(head));                        \
                ASSERT_EQ(pwrite(fd, tail, sizeof(tail), (off_t) (gpt.size - sizeof(tail))),       \
                          sizeof(tail));                                                           \
                check_refused(part);                                                               \
        })
        CHECK_TABLE(gpt.partitions[0].uuid.bytes[3] ^= 1, "UUID of the root partition is not the first");
        CHECK_TABLE(gpt.partitions[1].uuid.bytes[3] ^= 1, "UUID of the root-verity partition is not");
        CHECK_TABLE(gpt.partitions[0].size -= 512, "root partition is at 20480");
        CHECK_TABLE(gpt.partitions[1].size -= 512, "root-verity partition is at");
        CHECK_TABLE(gpt.partitions[1].type.bytes[0] ^= 1, "not exactly one root-verity partition");
        CHECK_TABLE(gpt.partitions[2].type = gpt_type_root, "not exactly one root partition");
        close(fd);
        remove_image();
}

TEST(root_hash)
{
        GuestParams p;

        make_image();
        p = params;
        p.root_hash[5] ^= 1;
        write_params(&p);
        check_refused("UUID of the root partition is not the first half of the root hash");
        p = params;
        p.salt[5] ^= 1;
        write_params(&p);
        check_refused("parameters: salt");
        p = params;
        p.data_blocks--;
        write_params(&p);
        check_refused("number of data blocks");
        write_params(&params);
        check_accepted();
        remove_image();
}

TEST(manifest)
{
        _cleanup_free_ char *text = NULL;
        GuestParams p;
        size_t n;

        make_image();
        check_flip("guest.spdx.json", 30,
                   "manifest 'guest.spdx.json' was changed: its SHA-256 is not that of 'guest.params'");

        /* With parameters that agree, the signed file system still names the manifest it came with. */
        ASSERT_OK(read_file_at(AT_FDCWD, "guest.spdx.json", 65536, &text, &n));
        memcpy(ASSERT_NOT_NULL(strstr(text, "\"now\"")), "\"new\"", 5);
        ASSERT_OK(write_file_atomic("guest.spdx.json", text, n, 0644));
        p = params;
        ASSERT_OK(digest_buffer(text, n, p.manifest_sha256));
        write_params(&p);
        check_refused("the UUID of the file system comes from another one");

        ASSERT_OK(unlink("guest.spdx.json"));
        check_refused("manifest 'guest.spdx.json' can not be read: No such file");
        remove_image();
}

TEST(signature_file)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_free_ char *message = NULL, *hash = NULL;
        _cleanup_free_ uint8_t *der = NULL;
        struct stat st;
        size_t n;

        make_image();
        ASSERT_OK(stat("guest.roothash.p7s", &st));
        check_flip("guest.roothash.p7s", (uint64_t) st.st_size - 1,
                   "signature 'guest.roothash.p7s': the signature is not one of root hash");

        /* Somebody else's. */
        hash = hex_encode(params.root_hash, VERITY_DIGEST_SIZE);
        ASSERT_OK(root_signature_make(hash, "other.key", "other.crt", &der, &n, NULL, NULL));
        ASSERT_OK(write_file_atomic("guest.roothash.p7s", der, n, 0644));
        check_refused("signed by a certificate that is not trusted");
        ASSERT_OK(unlink("guest.roothash.p7s"));
        check_refused("signature 'guest.roothash.p7s' can not be read: No such file");

        /* Nobody asks for one. */
        ASSERT_OK(verify(NULL, &report, &message));
        ASSERT_EQ(report.signature, SIGNATURE_UNCHECKED);
        remove_image();
}

TEST(signature_partition)
{
        _cleanup_(image_report_done) ImageReport report = {};
        uint64_t offset;
        int fd;

        make_image();
        fd = ASSERT_OK(open("guest.img", O_RDWR | O_CLOEXEC));
        ASSERT_OK(gpt_read(fd, &report.gpt, NULL));
        offset = report.gpt.partitions[2].offset;
        close(fd);

        check_flip("guest.img", offset, "signature partition of 'guest.img': not JSON");
        /* {"rootHash":" */
        check_flip("guest.img", offset + 13, "signature partition of 'guest.img': ");
        check_flip("guest.img", offset + SIGNATURE_PARTITION_SIZE - 1, "something is behind the JSON");
        remove_image();
}

/* Without signature, where one is demanded. */
TEST(unsigned_image)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_free_ char *message = NULL;
        GuestParams range, p;

        make_image();
        ASSERT_OK(truncate("range", BLOCKS * VERITY_BLOCK_SIZE));
        ASSERT_OK(verity_append("range", &range, NULL));
        ASSERT_OK(layout_write("range", &range, NULL, "guest.img", &p, NULL));
        p.has_manifest = true;
        memcpy(p.manifest_sha256, params.manifest_sha256, sizeof(p.manifest_sha256));
        write_params(&p);
        check_accepted();
        ASSERT_OK(unlink("guest.roothash.p7s"));
        check_refused("signature 'guest.roothash.p7s' can not be read");
        ASSERT_OK(verify(NULL, &report, &message));
        ASSERT_EQ(report.signature, SIGNATURE_NONE);
        ASSERT_EQ(report.gpt.n_partitions, 2);
        remove_image();
}

DEFINE_TEST_MAIN
