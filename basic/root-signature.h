/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Detached PKCS#7 signature (DER) of the text of a root hash: lower-case hexadecimal, no newline. The
 * form of systemd's .roothash.p7s files and of
 *
 *      openssl smime -sign -nocerts -noattr -binary -in HASH -inkey K -signer C -outform der
 *
 * Runs on the host with the caller's rights. The signature is foreign, the certificates are the
 * operator's: each is trusted by itself, no chain is followed and no date is compared. Own library
 * (basic_crypto_dep), so that the guest's programs do not get libcrypto from here.
 */

#include "basic/cleanup.h"

typedef struct RootSigner {
        char *subject;          /* of the certificate; issuer and serial where it is not known */
        char *fingerprint;      /* SHA-256 of the certificate, hexadecimal; NULL if not known */
} RootSigner;

void root_signer_done(RootSigner *signer);

/*
 * 0 when one of the PEM certificates made the signature, and only such ones did; else -EBADMSG
 * (no such signature), -EKEYREJECTED (signer or hash is another one) with the reason. ret may be NULL.
 */
int root_signature_verify(const char *root_hash, const void *der, size_t n, const char *certificates,
                          size_t certificates_size, RootSigner *ret, char **reterr_message);

/* The same with files. Errors begin with the path of the file that is wrong. */
int root_signature_verify_files(const char *root_hash, const char *signature_path,
                                const char *certificate_path, RootSigner *ret,
                                char **reterr_message);

/* What the signature says of its signer; nothing is verified. */
int root_signature_describe(const void *der, size_t n, RootSigner *ret, char **reterr_message);

/* Signs with a PEM private key (no passphrase) that belongs to the PEM certificate. */
int root_signature_make(const char *root_hash, const char *key_path, const char *certificate_path,
                        uint8_t **ret, size_t *ret_size, RootSigner *ret_signer,
                        char **reterr_message);
