/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of an image and its files: see report.h. Everything that is read here is foreign. */

#include "guest-image/report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "guest-image/manifest.h"
#include "guest-image/verity.h"

/* Offsets in the superblock of an erofs file system, in its first block. */
#define EROFS_SUPERBLOCK 1024U
#define EROFS_MAGIC "\xe2\xe1\xf5\xe0"
#define EROFS_UUID 48U

void image_files_done(ImageFiles *files)
{
        free(files->image);
        free(files->params);
        free(files->manifest);
        free(files->signature);
        free(files->certificate);
        *files = (ImageFiles) {};
}

int image_files_complete(ImageFiles *files)
{
        const struct {
                char **path;
                const char *suffix;
        } missing[] = {
                { &files->params, ".params" },
                { &files->manifest, ".spdx.json" },
                { &files->signature, ".roothash.p7s" },
        };

        for (size_t i = 0; i < ELEMENTSOF(missing); i++) {
                if (*missing[i].path)
                        continue;
                *missing[i].path = image_sibling(files->image, missing[i].suffix);
                if (!*missing[i].path)
                        return -ENOMEM;
        }

        return 0;
}

void image_report_done(ImageReport *report)
{
        guest_params_done(&report->params);
        spdx_document_done(&report->manifest);
        root_signer_done(&report->signer);
        *report = (ImageReport) {};
}

static int check_table(const ImageFiles *files, int fd, ImageReport *report, char **reterr_message)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "'%s': %s", files->image, strerror(errno));
        if ((uint64_t) st.st_size != report->params.image_size)
                return error_setf(reterr_message, EBADMSG,
                                  "'%s' has %" PRIi64 " bytes, its parameters say %" PRIu64,
                                  files->image, (int64_t) st.st_size, report->params.image_size);

        r = gpt_read(fd, &report->gpt, reterr_message);
        if (r >= 0)
                r = layout_check(&report->gpt, &report->params, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "partition table of '%s'", files->image) : 0;
}

/* The manifest is the one that the file system was made with. */
static int check_manifest_uuid(const ImageFiles *files, int fd, const ImageReport *report,
                               const char *text, size_t n, char **reterr_message)
{
        uint8_t block[VERITY_BLOCK_SIZE];
        Guid guid;
        int r;

        if (pread(fd, block, sizeof(block), (off_t) report->params.root_offset) !=
                    (ssize_t) sizeof(block) ||
            memcmp(block + EROFS_SUPERBLOCK, EROFS_MAGIC, 4) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "root partition of '%s' is no erofs file system", files->image);
        r = manifest_uuid(text, n, &guid);
        if (r < 0)
                return r;
        if (memcmp(block + EROFS_SUPERBLOCK + EROFS_UUID, guid.bytes, sizeof(guid.bytes)) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "manifest '%s' is not that of '%s': the UUID of the file system "
                                  "comes from another one",
                                  files->manifest, files->image);
        return 0;
}

static int check_manifest(const ImageFiles *files, int fd, ImageReport *report, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        uint8_t digest[DIGEST_SIZE];
        size_t n;
        int r;

        if (!report->params.has_manifest)
                return 0;

        r = read_file_at(AT_FDCWD, files->manifest, IMAGE_MANIFEST_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "manifest '%s' can not be read: %s",
                                  files->manifest, strerror(-r));
        r = digest_buffer(text, n, digest);
        if (r < 0)
                return r;
        if (memcmp(digest, report->params.manifest_sha256, sizeof(digest)) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "manifest '%s' was changed: its SHA-256 is not that of '%s'",
                                  files->manifest, files->params);
        r = check_manifest_uuid(files, fd, report, text, n, reterr_message);
        if (r < 0)
                return r;

        r = spdx_parse(text, n, &report->manifest, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "manifest '%s'", files->manifest);
        report->has_manifest = true;
        return 0;
}

/* The partition, where there is one, says the same as the rest. */
static int check_signature_partition(const ImageFiles *files, int fd, ImageReport *report,
                                     char **reterr_message)
{
        const GptPartition *p = gpt_find(&report->gpt, &gpt_type_root_verity_sig);
        _cleanup_(signature_json_done) SignatureJson s = {};
        _cleanup_(root_signer_done) RootSigner signer = {};
        _cleanup_free_ char *text = NULL, *certificates = NULL;
        size_t n;
        int r;

        if (!p)
                return 0;
        if (p->size > SIGNATURE_PARTITION_MAX)
                return error_setf(reterr_message, EFBIG, "more than %zu bytes",
                                  (size_t) SIGNATURE_PARTITION_MAX);
        text = malloc(p->size);
        if (!text)
                return -ENOMEM;
        if (pread(fd, text, p->size, (off_t) p->offset) != (ssize_t) p->size)
                return error_setf(reterr_message, EIO, "can not be read");

        r = signature_json_parse(text, p->size, &s, reterr_message);
        if (r < 0)
                return r;
        if (!streq(s.root_hash, report->params.root_hash_hex))
                return error_setf(reterr_message, EBADMSG, "it is one of root hash %s, not %s",
                                  s.root_hash, report->params.root_hash_hex);

        if (files->certificate) {
                r = read_file_at(AT_FDCWD, files->certificate, CERTIFICATE_FILE_MAX, &certificates, &n);
                if (r < 0)
                        return error_setf(reterr_message, r, "certificate '%s' can not be read: %s",
                                          files->certificate, strerror(-r));
                r = root_signature_verify(s.root_hash, s.signature, s.signature_size, certificates, n,
                                          &signer, reterr_message);
                if (r < 0)
                        return r;
                if (s.fingerprint && !streq(s.fingerprint, signer.fingerprint))
                        return error_setf(reterr_message, EBADMSG,
                                          "it names another certificate (%s) than the one that made it",
                                          s.fingerprint);
        } else
                r = root_signature_describe(s.signature, s.signature_size, &signer, reterr_message);
        if (r < 0)
                return r;

        if (!signer.fingerprint)
                signer.fingerprint = TAKE_PTR(s.fingerprint);
        report->signature = files->certificate ? SIGNATURE_VALID : SIGNATURE_UNCHECKED;
        report->signature_in_image = true;
        report->signer = signer;
        signer = (RootSigner) {};
        return 0;
}

static int check_signature_file(const ImageFiles *files, ImageReport *report, char **reterr_message)
{
        _cleanup_(root_signer_done) RootSigner signer = {};
        _cleanup_free_ char *der = NULL;
        size_t n;
        int r;

        if (files->certificate)
                r = root_signature_verify_files(report->params.root_hash_hex, files->signature,
                                                files->certificate, &signer, reterr_message);
        else {
                r = read_file_at(AT_FDCWD, files->signature, ROOT_SIGNATURE_MAX, &der, &n);
                if (r == -ENOENT)
                        return 0;
                if (r >= 0)
                        r = root_signature_describe(der, n, &signer, reterr_message);
                if (r < 0)
                        return error_prefixf(reterr_message, r, "signature '%s'", files->signature);
        }
        if (r < 0)
                return r;

        report->signature = files->certificate ? SIGNATURE_VALID : SIGNATURE_UNCHECKED;
        /* The partition knows the fingerprint as well. */
        if (report->signer.fingerprint && !signer.fingerprint)
                return 0;
        root_signer_done(&report->signer);
        report->signer = signer;
        signer = (RootSigner) {};
        return 0;
}

int image_report_load(const ImageFiles *files, ImageReport *ret, char **reterr_message)
{
        _cleanup_(image_report_done) ImageReport report = {};
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = guest_params_load(files->params, &report.params, reterr_message);
        if (r < 0)
                return r;
        fd = open(files->image, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(reterr_message, errno, "image '%s' can not be opened: %s",
                                  files->image, strerror(errno));

        r = check_table(files, fd, &report, reterr_message);
        if (r < 0)
                return r;
        r = verity_check_superblock(fd, &report.params, report.superblock_uuid, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "'%s'", files->image);
        r = check_manifest(files, fd, &report, reterr_message);
        if (r < 0)
                return r;
        r = check_signature_partition(files, fd, &report, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "signature partition of '%s'", files->image);
        r = check_signature_file(files, &report, reterr_message);
        if (r < 0)
                return r;

        *ret = report;
        report = (ImageReport) {};
        return 0;
}
