"""One result object, told four ways: JSON, JUnit XML, HTML and the terminal."""
