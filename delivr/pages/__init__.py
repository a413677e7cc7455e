"""What all pages share: states and icons, times, long lists, fragments that refresh themselves."""
