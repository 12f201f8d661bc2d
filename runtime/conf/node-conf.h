/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Node configuration: what every sandbox of this host has in common. Read from, later files winning
 * key by key:
 *
 *     /usr/lib/kata/kata.conf           shipped, every key commented out
 *     /etc/kata/kata.conf               if it exists it replaces the shipped file
 *     /etc/kata/kata.conf.d/<any>.conf  drop-ins in byte order of their names
 *
 * Runs on the host with the supervisor's rights. The files belong to root, still everything in them
 * is checked: an unknown section or key, a key given twice in one file or a bad value is an error
 * that names file, line, section, key, value and what is accepted. A file of size 0 or a link to
 * /dev/null is empty. The form of the lines is that of conf-file.h.
 */

#include "basic/cleanup.h"
#include "basic/parse.h"
#include "basic/strv.h"

typedef enum ConfVmm {
        CONF_VMM_QEMU,
        _CONF_VMM_MAX,
} ConfVmm;

typedef enum ConfAccelerator {
        CONF_ACCELERATOR_AUTO, /* KVM where /dev/kvm works, else emulation */
        CONF_ACCELERATOR_KVM,
        CONF_ACCELERATOR_TCG,
        _CONF_ACCELERATOR_MAX,
} ConfAccelerator;

typedef enum ConfTransport {
        CONF_TRANSPORT_AUTO, /* AF_VSOCK where /dev/vhost-vsock works, else virtio-serial */
        CONF_TRANSPORT_VSOCK,
        CONF_TRANSPORT_SERIAL,
        _CONF_TRANSPORT_MAX,
} ConfTransport;

typedef enum ConfLogLevel {
        CONF_LOG_LEVEL_INFO,
        CONF_LOG_LEVEL_DEBUG,
        _CONF_LOG_LEVEL_MAX,
} ConfLogLevel;

/* Kernel= says this instead of a path: the kernel that the distribution has installed on the host. */
#define CONF_KERNEL_DISTRIBUTION "distribution"

/* Every pointer is owned. Strings are never NULL unless it is said here. */
typedef struct NodeConf {
        /*
         * [Image]: absolute paths; that they exist is not checked here. NULL: not set, the file of
         * that kind in the guest directory; sandbox/guest-dir.h fills them in.
         */
        char *guest_directory;  /* Directory=: NULL for GUESTDIR/current, or DATADIR without it */
        char *kernel;           /* Kernel=: PVH ELF, or CONF_KERNEL_DISTRIBUTION */
        char *kernel_release;   /* KernelRelease=; NULL: the newest */
        char *image;            /* Image=: disk with erofs + hash tree */
        char *image_parameters; /* Parameters=: guest.params */
        char *image_certificate; /* Certificate=: PEM; NULL: no signature is needed */
        char *image_signature;  /* Signature=: PKCS#7; NULL: beside the image */
        char *debug_image;      /* DebugImage=: for sandboxes with Debug=yes */
        char *debug_parameters; /* DebugParameters= */

        /* [Machine] */
        ConfVmm vmm;
        char *qemu_path;     /* QemuPath=: absolute; NULL: see node_conf_find_qemu() */
        char *virtiofsd_path; /* VirtiofsdPath=: absolute; NULL: see node_conf_find_virtiofsd() */
        ConfAccelerator accelerator;
        ConfTransport transport;
        uint64_t memory; /* bytes, multiple of 1 MiB, VM_MEMORY_MIN..MAX */
        uint32_t vcpus;  /* 1..VM_VCPUS_MAX */
        char *kernel_parameters; /* appended to the guest's command line; "" */
        char *kernel_modules;    /* see kernel_modules_split(); NULL or "" if none */
        char *user;              /* User= that VMM and virtiofsd run as */

        /* [Agent]: all > 0, finite */
        usec_t boot_timeout;    /* from VMM start to the agent's READY */
        usec_t request_timeout; /* one call to the agent */
        usec_t health_interval;
        usec_t health_timeout;
        ConfLogLevel agent_log_level;

        /* [Log]: for all guest lines of a sandbox together; burst 0 or interval 0: no limit */
        usec_t rate_limit_interval;
        uint32_t rate_limit_burst;

        /* [Stop]: from the stop signal to SIGKILL of the containers */
        usec_t stop_timeout;

        Strv files; /* the files that were read, in order */
} NodeConf;

/*
 * root: prefix for all three places, NULL or "" on a real host. Returns 0, -EINVAL for anything
 * wrong in a file, or the errno of reading; reterr_message names the file. No file at all is not an
 * error.
 */
int node_conf_load(const char *root, NodeConf **ret, char **reterr_message);

/* The defaults alone. */
int node_conf_new(NodeConf **ret);
NodeConf *node_conf_free(NodeConf *conf);
DEFINE_CLEANUP_FUNC(NodeConf *, node_conf_free)
#define _cleanup_node_conf_ _cleanup_(node_conf_freep)

/*
 * The program to run: the configured path, else the first executable of the places where Debian 12
 * and 13 install it. -ENOENT with a text that names all places and the package.
 */
int node_conf_find_qemu(const NodeConf *conf, char **ret, char **reterr_message);
int node_conf_find_virtiofsd(const NodeConf *conf, char **ret, char **reterr_message);

/* The words of the configuration file; from_string() returns -EINVAL for others. */
const char *conf_vmm_to_string(ConfVmm v);
const char *conf_accelerator_to_string(ConfAccelerator v);
const char *conf_transport_to_string(ConfTransport v);
const char *conf_log_level_to_string(ConfLogLevel v); /* also the value of agent.log= */

/*
 * The shipped kata.conf: each section and key with its description, commented out with its default.
 */
int node_conf_print_defaults(FILE *f);
