"""Studies: networks trained several times each, compared, and written up in docs/study.md."""
