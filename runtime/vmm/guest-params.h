/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Host side checks of a guest image against its parameters, before anything boots from it. */

#include "basic/guest-params.h"

/*
 * Size of the file and hash of the tree's top block: catches a wrong, torn or stale image at
 * once. The remaining blocks are checked by the guest kernel when it reads them. The paths are for
 * the text.
 */
int guest_params_verify_image(const GuestParams *params, int image_fd, const char *image_path,
                              const char *params_path, char **reterr_message);

/*
 * The root hash has to be signed by one of the certificates in the PEM file. The signature is read
 * from signature_path, or, where that is NULL, from the file beside the image (guest.img:
 * guest.roothash.p7s).
 */
int guest_params_verify_signature(const GuestParams *params, const char *image_path,
                                  const char *signature_path, const char *certificate_path,
                                  char **reterr_message);
