/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What PID 1 prepares before it serves: file systems, cgroup controllers, loopback, limits, signals. Plan as
 * tables, act in order. The root file system is read-only, so its mount points must be there (README.md).
 */

#include "basic/cleanup.h"

/* The one step that must come before the command line can be read: /proc. */
int init_mount_proc(char **reterr_message);

/* Everything else. A failure names the step. Optional parts that the kernel lacks are skipped. */
int init_system(char **reterr_message);

/* The debug extension image, read-only, on DEBUG_MOUNT_POINT. */
int init_mount_debug(const char *device, char **reterr_message);

/* Descriptors 0 to 2 exist afterwards, whatever the kernel could open. Needs /dev. */
int init_standard_fds(void);

/*
 * Ends the virtual machine; as PID 1 it does not return. Restart, not power off: without ACPI the microvm
 * machine has no power switch and would halt for ever, while a restart (reboot=t, triple fault) makes a VMM
 * that runs with -no-reboot exit. Waits at most two seconds for dirty data.
 */
void _noreturn_ init_restart(void);

/*
 * For errors that leave no way on: prints the text to /dev/console and /dev/kmsg, then init_restart().
 */
void _noreturn_ init_die(const char *message);
