// The version of Banyan that these headers belong to.
#pragma once

#define BANYAN_VERSION_MAJOR 0
#define BANYAN_VERSION_MINOR 1
#define BANYAN_VERSION_PATCH 0
#define BANYAN_VERSION_STRING "0.1.0"
