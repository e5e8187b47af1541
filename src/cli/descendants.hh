// Ends what the ranks have left running: processes that they started themselves, in whatever group or session.
// Orphans become children of the nearest adopting ancestor, so all there is to find is always among our own children.
#pragma once

#include "base/time.hh"

namespace banyan::cli {

// Makes this process that ancestor.
void adopt_orphans();
// Kills and reaps every child, their orphans and so on. False when some still live after `patience`. SIGCHLD is
// blocked.
bool kill_descendants(Duration patience);

}  // namespace banyan::cli
