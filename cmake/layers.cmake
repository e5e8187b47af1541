# The layers, from the bottom up, and what each may use: the one place where this is said.
# Read twice: CMakeLists.txt defines layer() to make one static library of each row, and check_layers.cmake to
# hold every #include against it. A layer sees what it names and, through that, everything below.

layer(base CORE)
layer(tree CORE USES base)
layer(wire CORE USES base)
layer(security CORE USES base LIBRARIES PkgConfig::sodium)
layer(session CORE USES security wire)
# node takes from session what a handshake proved about a peer (session::Peer), not the machine itself.
layer(node CORE USES tree session)
layer(engine CORE USES node)
layer(sim USES engine LIBRARIES nlohmann_json::nlohmann_json)
layer(driver/sockets USES engine)
layer(driver/asio USES driver/sockets LIBRARIES banyan_asio Threads::Threads)
# Left out where Seastar is not found.
layer(driver/seastar NEEDS Seastar USES driver/sockets LIBRARIES Seastar::seastar)
layer(api USES driver/asio PUBLIC_HEADERS LIBRARIES spdlog::spdlog)
layer(api/seastar NEEDS Seastar USES api driver/seastar PUBLIC_HEADERS)
layer(cli USES api sim PUBLIC_HEADERS LIBRARIES CLI11::CLI11 nlohmann_json::nlohmann_json)
