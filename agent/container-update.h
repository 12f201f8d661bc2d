/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between container.c and container-update.c. */

#include "agent/container.h"

/* The descriptor of the program that is attached, owned by the container. */
int *container_device_filter(Container *c);
