"""The page for a design review: `page` puts it together from sections and charts; `html` escapes what files say."""
