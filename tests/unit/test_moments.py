"""The moment of a review is read however a file writes it, and never invented."""

import pandas as pd
import pytest

from sentiment.reviews.moments import MOMENT, days_come_first, may_come_either_way, parse_moments


def read(*written: str | None, day_first: bool = False) -> list[str | None]:
    moments = parse_moments(pd.Series(written, dtype=object), day_first=day_first)
    assert moments.dtype == MOMENT
    return [None if pd.isna(moment) else moment.isoformat().removesuffix("+00:00") for moment in moments]


@pytest.mark.parametrize(
    "written",
    [
        "2018-07-31",
        "2018/07/31",
        "2018.07.31",
        "20180731",
        "2018-7-31",
        "31-Jul-18",
        "31 July 2018",
        "31st July, 2018",
        "July 31, 2018",
        "Jul 31st, 2018",
        "07/31/2018",
        "7/31/18",
        "07-31-2018",
        "07 31, 2018",
        "31.07.2018",
        "31/07/2018",
        "2018年7月31日",
        "1532995200",
        "1532995200.0",
        "1532995200000",
        "1532995200000000",
        "1532995200000000000",
        "Reviewed in the United States on July 31, 2018",
        "Tuesday, July 31, 2018",
        "  2018-07-31\n",
    ],
)
def test_a_day_is_read_in_any_usual_form(written: str) -> None:
    assert read(written) == ["2018-07-31T00:00:00"]


@pytest.mark.parametrize(
    "written",
    [
        "2018-07-31T15:05:00Z",
        "2018-07-31 15:05",
        "2018-07-31 15:05:00 UTC",
        "2018-07-31T17:05:00+02:00",
        "2018-07-31T17:05:00+0200",
        "2018-07-31 08:05:00 -07:00",
        "1533049500",
        "1533049500000",
        "7/31/2018 3:05 PM",
        "July 31, 2018 at 3:05 p.m.",
        "31.07.2018 15:05",
        "Tue, 31 Jul 2018 15:05:00 GMT",
        "Tue, 31 Jul 2018 17:05:00 +0200",
        "Tue Jul 31 15:05:00 +0000 2018",
        "Tue Jul 31 15:05:00 2018",
    ],
)
def test_a_time_of_day_is_read_with_its_zone(written: str) -> None:
    assert read(written) == ["2018-07-31T15:05:00"]


def test_midnight_and_noon_are_where_americans_put_them() -> None:
    assert read("7/31/2018 12:05 AM", "7/31/2018 12:05 PM") == ["2018-07-31T00:05:00", "2018-07-31T12:05:00"]


def test_fractions_of_a_second_are_kept_to_the_microsecond() -> None:
    given = ["1588687728923", "2018-07-31T10:00:00.123456789Z"]
    assert read(*given) == ["2020-05-05T14:08:48.923000", "2018-07-31T10:00:00.123456"]


@pytest.mark.parametrize(
    "written",
    [
        *(
            None,
            "",
            "now",
            "today",
            "5",
            "2018",
            "Jul 2018",
            "May",
            "may 5",
            "yesterday",
            "soon",
            "10:00",
            "1e12",
            "-1",
        ),
        *("2018-02-30", "31-Foo-18", "13/13/2018", "7/31/2018 25:61", "2018-07-31T10:00:00+99:00", "20181399"),
        *("0001-01-01", "0001-01-01 00:00 +0900", "9" * 19 + "9", "call +49 170 1234567", "x" * 10_000),
    ],
)
def test_what_is_no_moment_is_none(written: str | None) -> None:
    assert read(written, "2018-07-31") == [None, "2018-07-31T00:00:00"]


def test_one_odd_value_changes_nothing_about_the_others() -> None:
    odd = ["2018-07-31T10:00:00.123456789Z", "9999-12-31", "0001-01-01", "now", None]
    assert read(*odd, "2018-07-31 10:00")[-1] == read("2018-07-31 10:00")[0]
    assert read(*odd)[1] == "9999-12-31T00:00:00"


def test_a_date_that_reads_either_way_is_read_as_its_file_reads_the_others() -> None:
    assert read("07/08/2018") == ["2018-07-08T00:00:00"]
    assert read("07/08/2018", day_first=True) == ["2018-08-07T00:00:00"]
    assert read("07.08.2018") == ["2018-08-07T00:00:00"]


@pytest.mark.parametrize(
    ("parts", "day_first"),
    [
        ([["07/08/2018", None], ["31/07/2018", "07/31/2018"]], True),
        ([["07/08/2018"], ["07/31/2018", "31/07/2018"]], False),
        ([["07 31, 2018"]], False),
        ([["07/08/2018"], ["31-Jul-18", "2018-07-31"]], False),
        ([], False),
    ],
)
def test_the_first_date_that_reads_one_way_only_tells_whether_days_come_first(
    parts: list[list[str]], day_first: bool
) -> None:
    assert days_come_first(pd.Series(part, dtype=object) for part in parts) is day_first


def test_only_dates_of_numbers_need_a_look_at_the_whole_file() -> None:
    assert may_come_either_way(pd.Series([None, "7/8/18"], dtype=object))
    assert not may_come_either_way(pd.Series(["2018-07-31", "1588687728923", "31-Jul-18", None], dtype=object))
