/* SPDX-License-Identifier: Apache-2.0 */
/* Guest image against its parameters: see guest-params.h. Host side; the image may be damaged. */

#include "runtime/vmm/guest-params.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "basic/error.h"
#include "basic/root-signature.h"

static int hash_block(const GuestParams *p, const uint8_t *block, uint8_t *ret)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        unsigned n = 0;
        bool good;

        if (!ctx)
                return -ENOMEM;

        good = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
               EVP_DigestUpdate(ctx, p->salt, sizeof(p->salt)) == 1 &&
               EVP_DigestUpdate(ctx, block, VERITY_BLOCK_SIZE) == 1 &&
               EVP_DigestFinal_ex(ctx, ret, &n) == 1 && n == VERITY_DIGEST_SIZE;
        EVP_MD_CTX_free(ctx);
        return good ? 0 : -EIO;
}

int guest_params_verify_image(const GuestParams *params, int image_fd, const char *image_path,
                              const char *params_path, char **reterr_message)
{
        uint8_t block[VERITY_BLOCK_SIZE], digest[EVP_MAX_MD_SIZE];
        struct stat st;
        ssize_t k;
        int r;

        if (fstat(image_fd, &st) < 0)
                return error_setf(reterr_message, errno, "guest image %s: %s", image_path,
                                  strerror(errno));
        if ((uint64_t) st.st_size != params->image_size)
                return error_setf(reterr_message, EBADMSG,
                                "guest image %s has %" PRIi64 " bytes, %s says %" PRIu64
                                ": rebuild or reinstall it",
                                image_path, (int64_t) st.st_size, params_path, params->image_size);

        do
                k = pread(image_fd, block, sizeof(block), (off_t) (params->root_offset + params->hash_offset));
        while (k < 0 && errno == EINTR);
        if (k != (ssize_t) sizeof(block))
                return error_setf(reterr_message, k < 0 ? errno : EIO,
                                "guest image %s can not be read: %s", image_path,
                                k < 0 ? strerror(errno) : "premature end");

        r = hash_block(params, block, digest);
        if (r < 0)
                return error_setf(reterr_message, r, "SHA-256 is not available from libcrypto");
        if (memcmp(digest, params->root_hash, VERITY_DIGEST_SIZE) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "guest image %s does not match root hash %s of %s: rebuild or "
                                  "reinstall it",
                                  image_path, params->root_hash_hex, params_path);
        return 0;
}

int guest_params_verify_signature(const GuestParams *params, const char *image_path,
                                  const char *signature_path, const char *certificate_path,
                                  char **reterr_message)
{
        _cleanup_free_ char *beside = NULL;
        int r;

        if (!signature_path) {
                beside = image_sibling(image_path, ".roothash.p7s");
                if (!beside)
                        return -ENOMEM;
                signature_path = beside;
        }

        r = root_signature_verify_files(params->root_hash_hex, signature_path, certificate_path, NULL,
                                        reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "guest image %s is refused", image_path) : 0;
}
