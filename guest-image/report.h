/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything that can be said of an image and its files without trusting any of them: behind
 * kata-image inspect and verify. All files are foreign.
 */

#include "basic/guest-params.h"
#include "basic/root-signature.h"
#include "guest-image/layout.h"
#include "guest-image/spdx.h"

typedef struct ImageFiles {
        char *image;
        char *params;
        char *manifest;
        char *signature;
        char *certificate;      /* PEM; NULL: signatures are described, not verified */
} ImageFiles;

void image_files_done(ImageFiles *files);

/* Fills in the files beside the image for those that are NULL, but the certificate. */
int image_files_complete(ImageFiles *files);

typedef enum SignatureState {
        SIGNATURE_NONE,
        SIGNATURE_UNCHECKED,    /* there is one, and no certificate to verify it with */
        SIGNATURE_VALID,
} SignatureState;

typedef struct ImageReport {
        GuestParams params;
        Gpt gpt;
        char superblock_uuid[GUID_TEXT_SIZE];
        bool has_manifest;
        SpdxDocument manifest;
        SignatureState signature;
        RootSigner signer;      /* empty if there is none */
        bool signature_in_image;        /* a signature partition, consistent with the rest */
} ImageReport;

void image_report_done(ImageReport *report);

/*
 * Reads and compares everything but the data and the hash tree: parameters, partition tables,
 * superblock, manifest, signature. The first thing that does not fit is the error; with a
 * certificate an image without a valid signature does not fit.
 */
int image_report_load(const ImageFiles *files, ImageReport *ret, char **reterr_message);

/* For people, and as JSON. 0 or -EIO. */
int image_report_print(const ImageFiles *files, const ImageReport *report, FILE *f);
int image_report_print_json(const ImageFiles *files, const ImageReport *report, FILE *f);
