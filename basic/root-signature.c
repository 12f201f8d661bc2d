/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of a root hash through libcrypto: see root-signature.h. The signature is foreign. */

#include "basic/root-signature.h"

#include <fcntl.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

DEFINE_CLEANUP_FUNC(BIO *, BIO_free)
DEFINE_CLEANUP_FUNC(PKCS7 *, PKCS7_free)
DEFINE_CLEANUP_FUNC(X509 *, X509_free)
DEFINE_CLEANUP_FUNC(EVP_PKEY *, EVP_PKEY_free)

static void certificates_freep(STACK_OF(X509) **certificates)
{
        sk_X509_pop_free(*certificates, X509_free);
}

static void signers_freep(STACK_OF(X509) **signers)
{
        sk_X509_free(*signers);
}

void root_signer_done(RootSigner *signer)
{
        free(signer->subject);
        free(signer->fingerprint);
        *signer = (RootSigner) {};
}

/* libcrypto's word for what went wrong, and an empty error queue. */
static const char *crypto_reason(void)
{
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        ERR_clear_error();
        return reason ?: "unknown error";
}

static int name_text(const X509_NAME *name, char **ret)
{
        _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        long n;

        if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
                return -ENOMEM;
        n = BIO_get_mem_data(bio, &data);
        *ret = text_escape(data, (size_t) n, 256);
        return *ret ? 0 : -ENOMEM;
}

static int signer_from_certificate(X509 *certificate, RootSigner *ret)
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        RootSigner s = {};
        unsigned n;
        int r;

        if (X509_digest(certificate, EVP_sha256(), digest, &n) != 1)
                return -EIO;
        r = name_text(X509_get_subject_name(certificate), &s.subject);
        if (r < 0)
                return r;
        s.fingerprint = hex_encode(digest, n);
        if (!s.fingerprint) {
                root_signer_done(&s);
                return -ENOMEM;
        }

        *ret = s;
        return 0;
}

/* Those that nobody can forge today. */
static bool digest_is_good(const PKCS7_SIGNER_INFO *info)
{
        X509_ALGOR *algorithm;

        PKCS7_SIGNER_INFO_get0_algs((PKCS7_SIGNER_INFO *) info, NULL, &algorithm, NULL);
        switch (OBJ_obj2nid(algorithm->algorithm)) {
        case NID_sha256:
        case NID_sha384:
        case NID_sha512:
                return true;
        default:
                return false;
        }
}

static int parse_signature(const void *der, size_t n, PKCS7 **ret, char **reterr_message)
{
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        STACK_OF(PKCS7_SIGNER_INFO) *infos;
        const unsigned char *p = der;

        if (n > ROOT_SIGNATURE_MAX)
                return error_setf(reterr_message, EFBIG, "more than %zu bytes", ROOT_SIGNATURE_MAX);

        p7 = d2i_PKCS7(NULL, &p, (long) n);
        if (!p7 || p != (const unsigned char *) der + n) {
                ERR_clear_error();
                return error_setf(reterr_message, EBADMSG, "not a PKCS#7 message in DER form");
        }
        if (!PKCS7_type_is_signed(p7) || !p7->d.sign || !p7->d.sign->contents ||
            !PKCS7_type_is_data(p7->d.sign->contents) || !PKCS7_is_detached(p7))
                return error_setf(reterr_message, EBADMSG, "not a detached signature");

        infos = PKCS7_get_signer_info(p7);
        if (sk_PKCS7_SIGNER_INFO_num(infos) <= 0)
                return error_setf(reterr_message, EBADMSG, "nobody signed it");
        for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(infos); i++)
                if (!digest_is_good(sk_PKCS7_SIGNER_INFO_value(infos, i)))
                        return error_setf(reterr_message, EBADMSG,
                                          "the signature rests on a digest other than SHA-256, "
                                          "SHA-384 and SHA-512");

        *ret = TAKE_PTR(p7);
        return 0;
}

static int parse_certificates(const char *text, size_t n, STACK_OF(X509) **ret, char **reterr_message)
{
        _cleanup_(certificates_freep) STACK_OF(X509) *list = sk_X509_new_null();
        _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(text, (int) n);

        if (!list || !bio)
                return -ENOMEM;

        for (;;) {
                X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, (void *) "");

                if (!certificate)
                        break;
                if (sk_X509_push(list, certificate) <= 0) {
                        X509_free(certificate);
                        return -ENOMEM;
                }
        }

        /* The end of the file is the one reason to stop that is fine. */
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return error_setf(reterr_message, EINVAL, "not a PEM certificate: %s", crypto_reason());
        ERR_clear_error();
        if (sk_X509_num(list) == 0)
                return error_setf(reterr_message, EINVAL, "no PEM certificate is in it");

        *ret = TAKE_PTR(list);
        return 0;
}

static int verify(const char *root_hash, PKCS7 *p7, STACK_OF(X509) *certificates, RootSigner *ret,
                  char **reterr_message)
{
        _cleanup_(signers_freep) STACK_OF(X509) *signers = NULL;
        _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(root_hash, (int) strlen(root_hash));
        const int flags = PKCS7_NOINTERN | PKCS7_NOVERIFY | PKCS7_BINARY;

        if (!bio)
                return -ENOMEM;

        signers = PKCS7_get0_signers(p7, certificates, flags);
        if (!signers) {
                ERR_clear_error();
                return error_setf(reterr_message, EKEYREJECTED,
                                  "signed by a certificate that is not trusted");
        }
        if (PKCS7_verify(p7, certificates, NULL, bio, NULL, flags) != 1) {
                ERR_clear_error();
                return error_setf(reterr_message, EKEYREJECTED,
                                  "the signature is not one of root hash %s", root_hash);
        }

        return ret ? signer_from_certificate(sk_X509_value(signers, 0), ret) : 0;
}

int root_signature_verify(const char *root_hash, const void *der, size_t n, const char *certificates,
                          size_t certificates_size, RootSigner *ret, char **reterr_message)
{
        _cleanup_(certificates_freep) STACK_OF(X509) *list = NULL;
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        int r;

        r = parse_signature(der, n, &p7, reterr_message);
        if (r >= 0)
                r = parse_certificates(certificates, certificates_size, &list, reterr_message);
        return r < 0 ? r : verify(root_hash, p7, list, ret, reterr_message);
}

static int load_certificates(const char *path, STACK_OF(X509) **ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = read_file_at(AT_FDCWD, path, CERTIFICATE_FILE_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "certificate '%s' can not be read: %s", path,
                                  strerror(-r));
        r = parse_certificates(text, n, ret, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "certificate '%s'", path) : 0;
}

int root_signature_verify_files(const char *root_hash, const char *signature_path,
                                const char *certificate_path, RootSigner *ret,
                                char **reterr_message)
{
        _cleanup_(certificates_freep) STACK_OF(X509) *list = NULL;
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        _cleanup_free_ char *der = NULL;
        size_t n;
        int r;

        r = load_certificates(certificate_path, &list, reterr_message);
        if (r < 0)
                return r;

        r = read_file_at(AT_FDCWD, signature_path, ROOT_SIGNATURE_MAX, &der, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "signature '%s' can not be read: %s",
                                  signature_path, strerror(-r));
        r = parse_signature(der, n, &p7, reterr_message);
        if (r >= 0)
                r = verify(root_hash, p7, list, ret, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "signature '%s'", signature_path) : 0;
}

int root_signature_describe(const void *der, size_t n, RootSigner *ret, char **reterr_message)
{
        _cleanup_free_ char *issuer = NULL, *serial = NULL;
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        PKCS7_ISSUER_AND_SERIAL *is;
        RootSigner s = {};
        BIGNUM *number;
        char *hex;
        int r;

        r = parse_signature(der, n, &p7, reterr_message);
        if (r < 0)
                return r;

        is = sk_PKCS7_SIGNER_INFO_value(PKCS7_get_signer_info(p7), 0)->issuer_and_serial;
        r = name_text(is->issuer, &issuer);
        if (r < 0)
                return r;
        number = ASN1_INTEGER_to_BN(is->serial, NULL);
        hex = number ? BN_bn2hex(number) : NULL;
        BN_free(number);
        if (hex)
                serial = text_escape(hex, strlen(hex), 64);
        OPENSSL_free(hex);
        if (!serial)
                return -ENOMEM;

        if (asprintf(&s.subject, "issuer %s, serial %s", issuer, serial) < 0)
                return -ENOMEM;
        *ret = s;
        return 0;
}

/* A passphrase can not be asked for in a build. */
static int no_passphrase(char *buf, int size, int writing, void *userdata)
{
        *(bool *) userdata = true;
        return -1;
}

static int load_key(const char *path, EVP_PKEY **ret, char **reterr_message)
{
        _cleanup_(BIO_freep) BIO *bio = BIO_new_file(path, "r");
        bool encrypted = false;

        if (!bio) {
                ERR_clear_error();
                return error_setf(reterr_message, errno, "private key '%s' can not be read: %s", path,
                                  strerror(errno));
        }
        *ret = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
        if (*ret)
                return 0;
        if (encrypted) {
                ERR_clear_error();
                return error_setf(reterr_message, EINVAL,
                                  "private key '%s' has a passphrase; decrypt it first", path);
        }
        return error_setf(reterr_message, EINVAL, "private key '%s' is not one in PEM form: %s", path,
                          crypto_reason());
}

int root_signature_make(const char *root_hash, const char *key_path, const char *certificate_path,
                        uint8_t **ret, size_t *ret_size, RootSigner *ret_signer,
                        char **reterr_message)
{
        _cleanup_(certificates_freep) STACK_OF(X509) *list = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(root_hash, (int) strlen(root_hash));
        _cleanup_free_ uint8_t *der = NULL;
        unsigned char *p;
        X509 *certificate;
        int n, r;

        if (!bio)
                return -ENOMEM;

        r = load_certificates(certificate_path, &list, reterr_message);
        if (r >= 0)
                r = load_key(key_path, &key, reterr_message);
        if (r < 0)
                return r;
        certificate = sk_X509_value(list, 0);
        if (X509_check_private_key(certificate, key) != 1) {
                ERR_clear_error();
                return error_setf(reterr_message, EINVAL,
                                  "private key '%s' does not belong to certificate '%s'", key_path,
                                  certificate_path);
        }

        p7 = PKCS7_sign(certificate, key, NULL, bio,
                        PKCS7_DETACHED | PKCS7_BINARY | PKCS7_NOATTR | PKCS7_NOCERTS);
        n = p7 ? i2d_PKCS7(p7, NULL) : -1;
        if (n <= 0)
                return error_setf(reterr_message, EINVAL, "private key '%s' can not sign: %s", key_path,
                                  crypto_reason());

        der = malloc((size_t) n);
        if (!der)
                return -ENOMEM;
        p = der;
        if (i2d_PKCS7(p7, &p) != n)
                return -EIO;

        r = ret_signer ? signer_from_certificate(certificate, ret_signer) : 0;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(der);
        *ret_size = (size_t) n;
        return 0;
}
