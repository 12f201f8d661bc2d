/* SPDX-License-Identifier: Apache-2.0 */
/* Digests through libcrypto: see digest.h. */

#include "guest-image/digest.h"

#include <openssl/evp.h>

struct Digest {
        EVP_MD_CTX *ctx;
        const EVP_MD *md;
};

static int digest_reset(Digest *d)
{
        return EVP_DigestInit_ex(d->ctx, d->md, NULL) == 1 ? 0 : -ENOMEM;
}

static int new_digest(const EVP_MD *md, Digest **ret)
{
        _cleanup_(digest_freep) Digest *d = new0(Digest, 1);
        int r;

        if (!d)
                return -ENOMEM;
        d->md = md;
        d->ctx = EVP_MD_CTX_new();
        if (!d->ctx)
                return -ENOMEM;
        r = digest_reset(d);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(d);
        return 0;
}

int digest_new(Digest **ret)
{
        return new_digest(EVP_sha256(), ret);
}

int digest_new_sha1(Digest **ret)
{
        return new_digest(EVP_sha1(), ret);
}

Digest *digest_free(Digest *d)
{
        if (d) {
                EVP_MD_CTX_free(d->ctx);
                free(d);
        }
        return NULL;
}

int digest_update(Digest *d, const void *data, size_t n)
{
        return EVP_DigestUpdate(d->ctx, data, n) == 1 ? 0 : -EIO;
}

int digest_final(Digest *d, uint8_t ret[DIGEST_SIZE])
{
        if (EVP_DigestFinal_ex(d->ctx, ret, NULL) != 1)
                return -EIO;

        return digest_reset(d);
}

int digest_buffer(const void *data, size_t n, uint8_t ret[DIGEST_SIZE])
{
        _cleanup_(digest_freep) Digest *d = NULL;
        int r;

        r = digest_new(&d);
        if (r >= 0)
                r = digest_update(d, data, n);
        return r < 0 ? r : digest_final(d, ret);
}
