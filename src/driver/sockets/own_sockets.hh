// Which descriptors of this process are Banyan's sockets. A child of fork() has copies of them all: as long as it
// lived, a connection of its parent would not end, and a port not be free. So it lets go of them first.
#pragma once

namespace banyan::driver {

// Marks the descriptor. False when it was marked before.
bool own_socket(int descriptor);
// Before it is closed or given away, since others may get its number right after.
void disown_socket(int descriptor);
bool is_own_socket(int descriptor);
// Closes all of them. In a child only, right after fork(): makes nothing but system calls.
void close_own_sockets();

}  // namespace banyan::driver
