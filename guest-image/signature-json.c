/* SPDX-License-Identifier: Apache-2.0 */
/* Content of the signature partition: see layout.h. The reader takes foreign bytes. */

#include <openssl/evp.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "guest-image/json.h"
#include "guest-image/layout.h"

int signature_json_format(const char *root_hash, const char *fingerprint, const uint8_t *signature,
                          size_t n, char **ret)
{
        _cleanup_(json_object_putp) json_object *o = json_object_new_object();
        _cleanup_free_ char *base64 = NULL;
        int r;

        if (n > ROOT_SIGNATURE_MAX)
                return -EFBIG;
        base64 = malloc((n + 2) / 3 * 4 + 1);
        if (!o || !base64)
                return -ENOMEM;
        EVP_EncodeBlock((unsigned char *) base64, signature, (int) n);

        r = json_add_string(o, "rootHash", root_hash);
        if (r >= 0)
                r = json_add_string(o, "certificateFingerprint", fingerprint);
        if (r >= 0)
                r = json_add_string(o, "signature", base64);
        if (r < 0)
                return r;

        *ret = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE));
        return *ret ? 0 : -ENOMEM;
}

void signature_json_done(SignatureJson *s)
{
        free(s->root_hash);
        free(s->fingerprint);
        free(s->signature);
        *s = (SignatureJson) {};
}

static int decode(const char *base64, SignatureJson *s)
{
        size_t n = strlen(base64), padding = n - strcspn(base64, "=");
        int k;

        if (n == 0 || n % 4 != 0 || padding > 2 || n / 4 * 3 > ROOT_SIGNATURE_MAX)
                return -EBADMSG;
        s->signature = malloc(n / 4 * 3);
        if (!s->signature)
                return -ENOMEM;
        k = EVP_DecodeBlock(s->signature, (const unsigned char *) base64, (int) n);
        if (k < 0 || (size_t) k < padding)
                return -EBADMSG;

        s->signature_size = (size_t) k - padding;
        return 0;
}

static bool is_hash(const char *text)
{
        return text && strlen(text) == 2 * VERITY_DIGEST_SIZE &&
               strspn(text, "0123456789abcdef") == 2 * VERITY_DIGEST_SIZE;
}

int signature_json_parse(const char *text, size_t n, SignatureJson *ret, char **reterr_message)
{
        _cleanup_(signature_json_done) SignatureJson s = {};
        _cleanup_(json_object_putp) json_object *o = NULL;
        const char *root_hash, *fingerprint, *base64;
        size_t used = strnlen(text, n);
        int r;

        for (size_t i = used; i < n; i++)
                if (text[i] != '\0')
                        return error_setf(reterr_message, EBADMSG, "something is behind the JSON text");

        r = json_parse(text, used, SIGNATURE_PARTITION_MAX, &o, reterr_message);
        if (r < 0)
                return r;

        root_hash = json_get_text(o, "rootHash");
        fingerprint = json_get_text(o, "certificateFingerprint");
        base64 = json_get_text(o, "signature");
        if (!is_hash(root_hash) || !base64)
                return error_setf(reterr_message, EBADMSG, "root hash or signature is missing");
        if (json_object_object_get_ex(o, "certificateFingerprint", NULL) && !is_hash(fingerprint))
                return error_setf(reterr_message, EBADMSG, "fingerprint is no SHA-256 in hexadecimal");

        s.root_hash = strdup(root_hash);
        s.fingerprint = fingerprint ? strdup(fingerprint) : NULL;
        if (!s.root_hash || (fingerprint && !s.fingerprint))
                return -ENOMEM;
        r = decode(base64, &s);
        if (r < 0)
                return error_setf(reterr_message, r, "signature is not base64");

        *ret = s;
        s = (SignatureJson) {};
        return 0;
}
