// Bytes that tell who made them, and that can be checked as fast as they can be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace banyan::bench {

// They are numbers of 8 bytes; no two payloads begin alike.
inline std::uint64_t first_number(int source, int index) {
  return (static_cast<std::uint64_t>(index) << 32) + static_cast<std::uint64_t>(source);
}
inline constexpr std::uint64_t kNumberStep = 0x9e3779b97f4a7c15;

// What `source` sends as its payload `index`; the size of `bytes` is a multiple of 8.
inline void fill(std::string& bytes, int source, int index) {
  std::uint64_t number = first_number(source, index);
  for (std::size_t i = 0; i < bytes.size(); i += sizeof number, number += kNumberStep) {
    std::memcpy(bytes.data() + i, &number, sizeof number);
  }
}

// Reads all bytes, whatever it finds.
inline bool holds(const char* data, std::size_t size, int source, int index) {
  std::uint64_t number = first_number(source, index);
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < size; i += sizeof number, number += kNumberStep) {
    std::uint64_t found = 0;
    std::memcpy(&found, data + i, sizeof found);
    difference |= found ^ number;
  }
  return difference == 0;
}

}  // namespace banyan::bench
