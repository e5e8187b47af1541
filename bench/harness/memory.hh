// What the kernel says of this process's memory, in MiB.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

namespace banyan::bench {

inline double mebibytes(const char* file, const std::string& name) {
  std::ifstream lines(std::string("/proc/self/") + file);
  for (std::string word; lines >> word;) {
    double kibibytes = 0;
    if (word == name && lines >> kibibytes) return kibibytes / 1024;
  }
  throw std::runtime_error(std::string("/proc/self/") + file + " says nothing of " + name);
}

inline double resident_mib() { return mebibytes("smaps_rollup", "Rss:"); }
// The most that was ever resident, or since forget_peak().
inline double peak_mib() { return mebibytes("status", "VmHWM:"); }
// Of it, what lies in memory that other processes may map, too.
inline double shared_mib() { return mebibytes("status", "RssShmem:"); }
// Each page divided by the number of processes that map it: these add up to what the job has.
inline double proportional_mib() { return mebibytes("smaps_rollup", "Pss:"); }

inline void forget_peak() {
  if (!(std::ofstream("/proc/self/clear_refs") << "5\n").flush()) {
    throw std::runtime_error("the peak of resident memory can't be set back in /proc/self/clear_refs");
  }
}

}  // namespace banyan::bench
