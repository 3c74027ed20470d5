/*
 * The version of mxadm: written here, once; CMake, the daemon and the command
 * line read it.
 */
#ifndef MXADM_VERSION_H
#define MXADM_VERSION_H

#define MXADM_VERSION_MAJOR  0
#define MXADM_VERSION_MINOR  1
#define MXADM_VERSION_PATCH  0
#define MXADM_VERSION_STRING "0.1.0"

#endif
