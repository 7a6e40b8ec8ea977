// What the image library's tests share: a library in a folder that goes away, and files for it.
#pragma once

#include "kvms/library/library.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace lom::kvms::test {

inline constexpr std::chrono::seconds limit{30};

class LibraryTest : public ::testing::Test {
  protected:
    LibraryTest() { EXPECT_TRUE(library_.open()); }
    ~LibraryTest() override { std::filesystem::remove_all(home_); }

    LibraryPlace place() const { return {home_ + "/media", home_ + "/media.json", {}}; }

    /// A file on its way in.
    std::string file(const std::string& content) {
        const std::string path = home_ + "/incoming" + std::to_string(++last_file_);
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }
    Result<void> put(const std::string& name, const std::string& content) {
        return library_.take_in(file(content), name);
    }
    std::string names() {
        std::string all;
        for (const LibraryImage& image : library_.images())
            all += (all.empty() ? "" : " ") + image.name;
        return all;
    }

    Loop loop_;
    const std::string home_ = new_folder();
    unsigned last_file_ = 0;
    int changes_ = 0;
    Library library_{loop_, place(), [this] { ++changes_; }};

  private:
    static std::string new_folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "lom-library-XXXXXX";
        return mkdtemp(pattern.data());
    }
};

} // namespace lom::kvms::test
