/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Throw-away keys and certificates for tests, as PEM files. */

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "basic/test.h"

/* NAME.key and NAME.crt in dir: P-256, or RSA of 2048 bits. */
static inline void make_test_keys(const char *dir, const char *name, bool rsa)
{
        _cleanup_free_ char *key_path = NULL, *crt_path = NULL;
        EVP_PKEY *key = ASSERT_NOT_NULL(rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
        X509 *crt = ASSERT_NOT_NULL(X509_new());
        X509_NAME *subject = X509_NAME_new();
        FILE *f;

        ASSERT_TRUE(asprintf(&key_path, "%s/%s.key", dir, name) > 0);
        ASSERT_TRUE(asprintf(&crt_path, "%s/%s.crt", dir, name) > 0);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *) name, -1, -1, 0);
        X509_set_version(crt, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(crt), 4660);
        X509_gmtime_adj(X509_getm_notBefore(crt), 0);
        X509_gmtime_adj(X509_getm_notAfter(crt), 3600);
        X509_set_subject_name(crt, subject);
        X509_set_issuer_name(crt, subject);
        X509_set_pubkey(crt, key);
        ASSERT_TRUE(X509_sign(crt, key, EVP_sha256()) > 0);

        f = ASSERT_NOT_NULL(fopen(key_path, "we"));
        ASSERT_EQ(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
        fclose(f);
        f = ASSERT_NOT_NULL(fopen(crt_path, "we"));
        ASSERT_EQ(PEM_write_X509(f, crt), 1);
        fclose(f);
        X509_NAME_free(subject);
        X509_free(crt);
        EVP_PKEY_free(key);
}
