/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Manifest of an image: SPDX 2.3 in JSON (ISO/IEC 5962 and its successor). Written from plain data in
 * one fixed order, so that equal content gives equal bytes; the reader takes foreign bytes, and only
 * documents of the shape that the writer makes.
 *
 * Package 0 is the image. Each file belongs to one package, and every package but 0 is contained in 0.
 */

#include "guest-image/digest.h"

#define SHA1_SIZE 20U

typedef struct SpdxPackage {
        char *name;
        char *version;          /* NULL if nobody knows */
        char *purl;             /* package URL; NULL for none */
        char *source;           /* free text: what it was built from; NULL for none */
        bool linked;            /* inside of a program of another package: owns no file. Not written */
} SpdxPackage;

typedef struct SpdxFile {
        char *path;             /* in the image, absolute */
        size_t package;
        uint8_t sha256[DIGEST_SIZE];    /* of the content; of the target of a symbolic link */
        uint8_t sha1[SHA1_SIZE];        /* the specification demands it */
        char *target;           /* of a symbolic link, else NULL */
        unsigned mode;          /* permission bits; 0777 for links */
        uint64_t size;
} SpdxFile;

typedef struct SpdxDocument {
        char *name;             /* of the document and of package 0 */
        char *tool;             /* "kata-image-1.0" */
        char *created;          /* 2024-01-01T00:00:00Z */
        char *name_space;       /* made by the writer from the rest */
        SpdxPackage *packages;
        size_t n_packages;
        SpdxFile *files;        /* sorted by path */
        size_t n_files;
} SpdxDocument;

void spdx_document_done(SpdxDocument *document);

/* name_space is not read. */
int spdx_format(const SpdxDocument *document, char **ret);

int spdx_parse(const char *text, size_t n, SpdxDocument *ret, char **reterr_message);
