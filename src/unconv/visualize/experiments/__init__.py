"""The experiments of Zeiler & Fergus (2013), each as a function that returns data and another that draws it."""
