"""The page for a design review: `whole` puts it together from sections and charts; `html` escapes what files say."""
