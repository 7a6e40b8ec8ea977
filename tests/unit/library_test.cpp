// The image library: names, quota, what is taken in, what stays while it is used.
#include "kvms/library/library.h"

#include "kvms/library/iso_header.h"
#include "tests/unit/library_support.h"

#include <sys/stat.h>

namespace lom::kvms::test {
namespace {

constexpr std::size_t descriptor = 16 * 2048;

/// An ISO 9660 image that says it has `blocks` blocks of 2 KiB, in a file of `size` bytes.
std::string iso(std::size_t size, unsigned char blocks, const std::string& volume_id = "A DISC") {
    std::string image(size, '\0');
    image.replace(descriptor, 6, "\001CD001");
    image.replace(descriptor + 40, 32, volume_id + std::string(32 - volume_id.size(), ' '));
    image[descriptor + 80] = static_cast<char>(blocks);
    image[descriptor + 129] = 8; // 2048
    return image;
}

TEST(ImageName, is_a_plain_word) {
    for (const char* name : {"a", "debian-12.5+x_1.iso", "0", "X.ISO"})
        EXPECT_TRUE(Library::check_name(name)) << name;
    for (const std::string name : {"", ".hidden", "-x", "a/b", "..", "a b", "a\nb", "\xc3\xa4.iso"})
        EXPECT_FALSE(Library::check_name(name)) << name;
    EXPECT_TRUE(Library::check_name(std::string(128, 'x')));
    EXPECT_FALSE(Library::check_name(std::string(129, 'x')));
    EXPECT_FALSE(Library::check_name(std::string("a\0b", 3)));
}

TEST_F(LibraryTest, takes_a_file_in_and_seals_it) {
    ASSERT_TRUE(put("a.iso", "hello"));
    const auto image = library_.find("a.iso");
    ASSERT_TRUE(image);
    EXPECT_EQ(image->size, 5U);
    EXPECT_EQ(library_.used(), 5U);
    struct stat facts {};
    ASSERT_EQ(stat(library_.path_of("a.iso").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0440U);
    EXPECT_GT(changes_, 0);
}

TEST_F(LibraryTest, computes_checksums_and_keeps_them) {
    ASSERT_TRUE(put("a.iso", "hello"));
    const auto sum = [this] { return library_.find("a.iso")->sha256; };
    ASSERT_TRUE(loop_.run_until([&] { return !sum().empty(); }, limit));
    EXPECT_EQ(sum(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    Library later(loop_, place(), [] {});
    ASSERT_TRUE(later.open());
    EXPECT_EQ(later.find("a.iso")->sha256, sum());
}

TEST_F(LibraryTest, notices_a_file_that_was_put_there_by_hand) {
    std::ofstream(library_.path_of("b.iso")) << "by hand";
    std::ofstream(library_.path_of(".c.iso")) << "hidden";
    std::filesystem::create_symlink("/etc/passwd", library_.path_of("d.iso"));
    EXPECT_EQ(names(), "b.iso");
}

TEST_F(LibraryTest, writes_over_nothing) {
    ASSERT_TRUE(put("a.iso", "one"));
    for (const char* name : {"a.iso", "A.ISO"}) {
        const auto again = put(name, "two");
        ASSERT_FALSE(again);
        EXPECT_EQ(again.fault().message, "The image a.iso exists already; delete it first.");
    }
    ASSERT_TRUE(put("b.iso", "two"));
    EXPECT_FALSE(library_.rename("a.iso", "B.iso"));
    EXPECT_TRUE(library_.rename("a.iso", "c.iso"));
    EXPECT_EQ(names(), "b.iso c.iso");
}

TEST_F(LibraryTest, keeps_its_quota) {
    library_.set_quota(10);
    ASSERT_TRUE(put("a.iso", "123456"));
    EXPECT_EQ(library_.room(), 4U);
    const auto more = put("b.iso", "12345");
    ASSERT_FALSE(more);
    EXPECT_NE(more.fault().message.find("does not fit"), std::string::npos);
    EXPECT_TRUE(put("c.iso", "1234"));
    EXPECT_EQ(library_.room(), 0U);
    library_.set_quota(3); // less than there is
    EXPECT_EQ(library_.room(), 0U);
    ASSERT_TRUE(library_.remove("a.iso"));
    EXPECT_FALSE(put("d.iso", "1"));
}

TEST_F(LibraryTest, refuses_an_image_that_was_cut_short) {
    const auto cut = put("cut.iso", iso(64 << 10U, 33));
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.fault().message,
              "cut.iso is cut short: it has 65536 of 67584 bytes. Copy it again.");
    EXPECT_TRUE(put("whole.iso", iso(64 << 10U, 32)));
    EXPECT_EQ(library_.find("whole.iso")->volume_id, "A DISC");
    EXPECT_EQ(names(), "whole.iso");
}

TEST_F(LibraryTest, refuses_what_is_no_file) {
    std::filesystem::create_symlink("/etc/passwd", home_ + "/link");
    EXPECT_FALSE(library_.take_in(home_ + "/link", "a.iso"));
    EXPECT_FALSE(library_.take_in(home_, "a.iso"));
    EXPECT_FALSE(library_.take_in(home_ + "/none", "a.iso"));
    EXPECT_EQ(names(), "");
}

TEST_F(LibraryTest, keeps_what_is_in_use) {
    ASSERT_TRUE(put("a.iso", "one"));
    ASSERT_TRUE(library_.claim("a.iso", "cd", false, {}));
    ASSERT_TRUE(library_.claim("a.iso", "cd2", false, {}));
    EXPECT_EQ(library_.find("a.iso")->users, (std::vector<std::string>{"cd", "cd2"}));
    EXPECT_FALSE(library_.remove("a.iso"));
    EXPECT_FALSE(library_.rename("a.iso", "b.iso"));
    library_.release("cd");
    EXPECT_FALSE(library_.remove("a.iso"));
    library_.release("cd2");
    EXPECT_TRUE(library_.remove("a.iso"));
}

TEST_F(LibraryTest, lets_one_write_and_nobody_beside) {
    ASSERT_TRUE(put("a.img", "one"));
    ASSERT_TRUE(library_.claim("a.img", "cd", false, {}));
    EXPECT_FALSE(library_.claim("a.img", "usb", true, {}));
    library_.release("cd");
    ASSERT_TRUE(library_.claim("a.img", "usb", true, {}));
    const auto other = library_.claim("a.img", "cd", false, {});
    ASSERT_FALSE(other);
    EXPECT_NE(other.fault().message.find("usb, which may write to it."), std::string::npos);
    EXPECT_EQ(library_.find("a.img")->sha256, "");
    std::ofstream(library_.path_of("a.img")) << "two!";
    library_.release("usb");
    ASSERT_TRUE(loop_.run_until([this] { return !library_.find("a.img")->sha256.empty(); }, limit));
    EXPECT_EQ(library_.find("a.img")->size, 4U);
    struct stat facts {};
    ASSERT_EQ(stat(library_.path_of("a.img").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0440U);
}

TEST_F(LibraryTest, forgets_what_was_on_its_way_before_a_restart) {
    const auto staging = library_.make_staging();
    ASSERT_TRUE(staging);
    std::ofstream(*staging + "/half.iso") << "half";
    Library later(loop_, place(), [] {});
    ASSERT_TRUE(later.open());
    EXPECT_FALSE(std::filesystem::exists(*staging));
    EXPECT_TRUE(later.images().empty());
}

TEST_F(LibraryTest, survives_a_broken_index) {
    ASSERT_TRUE(put("a.iso", "one"));
    for (const char* text : {"", "{", "[1]", R"({"a.iso": 3})", R"({"../x": {"sha256": "00"}})",
                             R"({"a.iso": {"sha256": "00", "size": -1}})"}) {
        std::ofstream(home_ + "/media.json", std::ios::trunc) << text;
        Library later(loop_, place(), [] {});
        ASSERT_TRUE(later.open());
        ASSERT_EQ(later.images().size(), 1U) << text;
        EXPECT_EQ(later.images().front().sha256, "") << text;
    }
}

TEST_F(LibraryTest, shows_only_what_a_terminal_may_see_of_a_volume_id) {
    ASSERT_TRUE(put("a.iso", iso(64 << 10U, 32, "EVIL\x1b[2J")));
    EXPECT_EQ(library_.find("a.iso")->volume_id, "EVIL?[2J");
}

TEST(IsoHeader, is_empty_for_what_has_none) {
    EXPECT_EQ(read_iso_header("/nowhere").volume_id, "");
    EXPECT_EQ(read_iso_header("/dev/null").size, 0U);
    EXPECT_EQ(read_iso_header("/etc/passwd").size, 0U);
}

} // namespace
} // namespace lom::kvms::test
