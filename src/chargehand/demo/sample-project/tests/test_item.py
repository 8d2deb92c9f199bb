import unittest

from stockroom.item import Item


class ItemTest(unittest.TestCase):
    def test_is_equal_to_one_with_the_same_values(self) -> None:
        self.assertEqual(Item("nails", 5, 200), Item("nails", 5, 200))

    def test_refuses_a_blank_name(self) -> None:
        with self.assertRaises(ValueError):
            Item("  ", 5)

    def test_refuses_negative_numbers(self) -> None:
        with self.assertRaises(ValueError):
            Item("nails", -1)
        with self.assertRaises(ValueError):
            Item("nails", 5, -1)


if __name__ == "__main__":
    unittest.main()
